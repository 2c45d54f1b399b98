// SPDX-License-Identifier: Apache-2.0
//
// Page: which part of a list a call asks for. A list is in an order in which each entry has a
// position, and a token names the position that the page before ended with: what was added or
// removed meanwhile neither repeats nor skips an entry. Tokens that this list did not give out are
// refused (they carry a check of the list's name and filters, against mistakes, not against
// forgery).
//
// How to use: ASSIGN_OR_RETURN(Page page, Page::Of(request, "agents")); skip what is not behind
// page.after(), end after page.size() entries with page.TokenAt(position). A value.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "absl/status/statusor.h"

namespace caxton::api {

class Page final {
 public:
  // `list`: the call and its filters. A page size of 0 is the default, one above the most is cut.
  static absl::StatusOr<Page> Make(int32_t size, std::string_view token, std::string list);
  template <typename Request>
  static absl::StatusOr<Page> Of(const Request& request, std::string list) {
    return Make(request.page_size(), request.page_token(), std::move(list));
  }

  int32_t size() const { return size_; }
  // The position of the last entry before this page; empty: it is the first.
  const std::string& after() const { return after_; }
  // The same where positions are numbers, from 1; 0: it is the first.
  uint64_t after_number() const;
  std::string TokenAt(std::string_view position) const;

 private:
  std::string list_;
  int32_t size_ = 0;
  std::string after_;
};

}  // namespace caxton::api

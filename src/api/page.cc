// SPDX-License-Identifier: Apache-2.0
#include "page.h"

#include <algorithm>

#include "caxton/api/limits.h"
#include "caxton/base/hash.h"
#include "caxton/base/status.h"
#include "caxton/base/strings.h"

namespace caxton::api {
namespace {

constexpr size_t kCheckDigits = 8;

std::string CheckOf(std::string_view list, std::string_view position) {
  return Sha256(StrCat(list, "\n", position)).ToHex().substr(0, kCheckDigits);
}

absl::Status Wrong(std::string_view field, std::string_view why, std::string_view fix) {
  return WithFix(WithField(absl::InvalidArgumentError(StrCat(field, ": ", why)), field), fix);
}

}  // namespace

absl::StatusOr<Page> Page::Make(int32_t size, std::string_view token, std::string list) {
  if (size < 0) {
    return Wrong("page_size", StrCat(size, " is negative"),
                 StrCat("ask for 1 to ", kMaxPageSize, ", or for 0: ", kDefaultPageSize));
  }
  Page page;
  page.size_ = size == 0 ? kDefaultPageSize : std::min(size, kMaxPageSize);
  page.list_ = std::move(list);
  if (token.empty()) return page;
  if (token.size() > kCheckDigits) page.after_ = std::string(token.substr(kCheckDigits + 1));
  if (page.after_.empty() || token != page.TokenAt(page.after_)) {
    return Wrong("page_token", "it is not from the page before of this list",
                 "begin with an empty page_token, then send each answer's next_page_token with the "
                 "same filters");
  }
  return page;
}

uint64_t Page::after_number() const {
  uint64_t number = 0;
  return ParseInt(after_, &number) ? number : 0;
}

std::string Page::TokenAt(std::string_view position) const {
  return StrCat(CheckOf(list_, position), ".", position);
}

}  // namespace caxton::api

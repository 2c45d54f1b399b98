// SPDX-License-Identifier: Apache-2.0
//
// FdOutput: a stream's buffer over a file descriptor that remembers why writing failed first, which
// std::cout forgets: a full disk must not look like success. Does not own the descriptor.
//
// Lifecycle: made -> written through a std::ostream -> flushed -> error(). Thread rule: one thread
// at a time.
#pragma once

#include <array>
#include <streambuf>

namespace caxton::cli {

class FdOutput final : public std::streambuf {
 public:
  explicit FdOutput(int fd);
  ~FdOutput() override;

  // errno of the first write that failed; 0 if none has. After a failure nothing more is written.
  int error() const { return error_; }

 protected:
  int_type overflow(int_type c) override;
  int sync() override;

 private:
  const int fd_;
  int error_ = 0;
  std::array<char, 16 << 10> buffer_;
};

}  // namespace caxton::cli

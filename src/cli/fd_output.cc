// SPDX-License-Identifier: Apache-2.0
#include "fd_output.h"

#include <errno.h>
#include <unistd.h>

namespace caxton::cli {

FdOutput::FdOutput(int fd) : fd_(fd) { setp(buffer_.data(), buffer_.data() + buffer_.size()); }

FdOutput::~FdOutput() { (void)FdOutput::sync(); }

FdOutput::int_type FdOutput::overflow(int_type c) {
  if (FdOutput::sync() != 0) return traits_type::eof();
  if (!traits_type::eq_int_type(c, traits_type::eof())) sputc(traits_type::to_char_type(c));
  return traits_type::not_eof(c);
}

int FdOutput::sync() {
  const char* at = pbase();
  while (error_ == 0 && at < pptr()) {
    const ssize_t count = write(fd_, at, static_cast<size_t>(pptr() - at));
    if (count > 0) {
      at += count;
    } else if (count < 0 && errno != EINTR) {
      error_ = errno;
    }
  }
  setp(buffer_.data(), buffer_.data() + buffer_.size());
  return error_ == 0 ? 0 : -1;
}

}  // namespace caxton::cli

// SPDX-License-Identifier: Apache-2.0
//
// Text from outside: is it UTF-8, and how is it shown in an error message.
#pragma once

#include <string>
#include <string_view>

namespace caxton {

// Well-formed UTF-8 (RFC 3629: no surrogates, no overlong forms, at most U+10FFFF).
bool IsUtf8(std::string_view text);

// `text` with every byte that is not part of well-formed UTF-8 replaced by '?'; never longer than
// `text`.
std::string SanitizeUtf8(std::string_view text);

// The longest prefix of at most `max_bytes` that does not cut a character in two.
std::string_view TruncateUtf8(std::string_view text, size_t max_bytes);

// 'text' for an error message: quoted, control characters shown as '?', shortened to 64 bytes.
std::string Quoted(std::string_view text);

}  // namespace caxton

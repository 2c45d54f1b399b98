// SPDX-License-Identifier: Apache-2.0
#include "wasmtime_support.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_format.h"
#include "caxton/base/strings.h"
#include "caxton/model/step.h"
#include "caxton/model/text.h"
#include "caxton/wasm/limits.h"

namespace caxton::wasm {
namespace {

std::string TakeBytes(wasm_byte_vec_t* bytes, size_t limit) {
  std::string_view text(bytes->data, bytes->size);
  while (!text.empty() && (text.back() == '\0' || text.back() == '\n')) text.remove_suffix(1);
  std::string out = SanitizeUtf8(text.substr(0, limit));
  wasm_byte_vec_delete(bytes);
  return out;
}

std::string_view TrapCodeText(int code) {
  switch (code) {
    case WASMTIME_TRAP_CODE_STACK_OVERFLOW:
      return "call stack exhausted";
    case WASMTIME_TRAP_CODE_MEMORY_OUT_OF_BOUNDS:
      return "out of bounds memory access";
    case WASMTIME_TRAP_CODE_TABLE_OUT_OF_BOUNDS:
      return "out of bounds table access";
    case WASMTIME_TRAP_CODE_INDIRECT_CALL_TO_NULL:
      return "call through a null function pointer";
    case WASMTIME_TRAP_CODE_BAD_SIGNATURE:
      return "call through a function pointer of another type";
    case WASMTIME_TRAP_CODE_INTEGER_OVERFLOW:
      return "integer overflow";
    case WASMTIME_TRAP_CODE_INTEGER_DIVISION_BY_ZERO:
      return "integer divided by zero";
    case WASMTIME_TRAP_CODE_BAD_CONVERSION_TO_INTEGER:
      return "float out of an integer's range";
    case WASMTIME_TRAP_CODE_UNREACHABLE_CODE_REACHED:
      return "unreachable code reached (an abort, a failed assertion or a panic)";
    case WASMTIME_TRAP_CODE_INTERRUPT:
      return "interrupted";
    case WASMTIME_TRAP_CODE_OUT_OF_FUEL:
      return "out of fuel";
    default:
      return "";
  }
}

std::string FrameText(wasm_frame_t* frame) {
  const wasm_name_t* name = wasmtime_frame_func_name(frame);
  std::string label =
      name != nullptr
          ? SanitizeUtf8(std::string_view(name->data, std::min(name->size, kMaxFrameNameBytes)))
          : StrCat("function ", wasm_frame_func_index(frame));
  return absl::StrFormat("  at %s (offset 0x%x)\n", label, wasm_frame_module_offset(frame));
}

wasm_valkind_t KindOf(char letter) {
  switch (letter) {
    case 'I':
      return WASM_I64;
    case 'f':
      return WASM_F32;
    case 'F':
      return WASM_F64;
    default:
      return WASM_I32;
  }
}

void MakeValTypes(std::string_view letters, wasm_valtype_vec_t* out) {
  std::vector<wasm_valtype_t*> types;
  types.reserve(letters.size());
  for (const char letter : letters) types.push_back(wasm_valtype_new(KindOf(letter)));
  wasm_valtype_vec_new(out, types.size(), types.data());
}

void AppendLetters(const wasm_valtype_vec_t* types, std::string* out) {
  for (size_t i = 0; i < types->size; ++i) {
    switch (wasm_valtype_kind(types->data[i])) {
      case WASM_I32:
        out->push_back('i');
        break;
      case WASM_I64:
        out->push_back('I');
        break;
      case WASM_F32:
        out->push_back('f');
        break;
      case WASM_F64:
        out->push_back('F');
        break;
      default:
        out->push_back('?');
    }
  }
}

}  // namespace

std::string ErrorText(const wasmtime_error_t* error) {
  wasm_name_t message;
  wasmtime_error_message(error, &message);
  return TakeBytes(&message, kMaxStepDetailBytes);
}

absl::Status ErrorStatus(absl::StatusCode code, std::string_view what, ErrorPtr error) {
  return absl::Status(code, StrCat(what, ": ", ErrorText(error.get())));
}

std::string TrapReason(const CallFailure& failure, int* code) {
  *code = -1;
  if (failure.error != nullptr) return ErrorText(failure.error.get());
  if (failure.trap == nullptr) return "";
  wasmtime_trap_code_t trap_code = 0;
  if (wasmtime_trap_code(failure.trap.get(), &trap_code)) {
    *code = trap_code;
    const std::string_view text = TrapCodeText(trap_code);
    if (!text.empty()) return std::string(text);
  }
  wasm_message_t message;
  wasm_trap_message(failure.trap.get(), &message);
  return TakeBytes(&message, kMaxStepDetailBytes);
}

std::string Backtrace(const CallFailure& failure) {
  wasm_frame_vec_t frames{0, nullptr};
  if (failure.trap != nullptr) {
    wasm_trap_trace(failure.trap.get(), &frames);
  } else if (failure.error != nullptr) {
    wasmtime_error_wasm_trace(failure.error.get(), &frames);
  }
  std::string out;
  const size_t shown = std::min(frames.size, kMaxBacktraceFrames);
  for (size_t i = 0; i < shown; ++i) out += FrameText(frames.data[i]);
  if (shown < frames.size) StrAppend(&out, "  and ", frames.size - shown, " more\n");
  if (frames.size > 0) wasm_frame_vec_delete(&frames);
  return out;
}

FuncTypePtr MakeFuncType(std::string_view signature) {
  const size_t colon = signature.find(':');
  wasm_valtype_vec_t params;
  wasm_valtype_vec_t results;
  MakeValTypes(signature.substr(0, colon), &params);
  MakeValTypes(signature.substr(colon + 1), &results);
  return FuncTypePtr(wasm_functype_new(&params, &results));
}

std::string SignatureOf(const wasm_functype_t* type) {
  std::string out;
  AppendLetters(wasm_functype_params(type), &out);
  out.push_back(':');
  AppendLetters(wasm_functype_results(type), &out);
  return out;
}

}  // namespace caxton::wasm

// SPDX-License-Identifier: Apache-2.0
#include "module_reader.h"

#include <algorithm>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "caxton/examine/limits.h"

namespace caxton::examine {
namespace {

constexpr size_t kHeaderBytes = 8;

// A cursor that never leaves its input: after the first malformed field it returns zeros.
class Reader {
 public:
  explicit Reader(std::string_view in) : in_(in), size_(in.size()) {}

  bool ok() const { return ok_; }
  bool empty() const { return in_.empty(); }
  size_t position() const { return size_ - in_.size(); }
  void Fail() {
    ok_ = false;
    in_ = {};
  }

  uint8_t Byte() {
    if (in_.empty()) {
      Fail();
      return 0;
    }
    const auto byte = static_cast<uint8_t>(in_.front());
    in_.remove_prefix(1);
    return byte;
  }

  uint64_t Leb(int bits) {
    uint64_t value = 0;
    for (int shift = 0; shift < bits; shift += 7) {
      const uint8_t byte = Byte();
      value |= uint64_t{byte & 0x7fu} << shift;
      if ((byte & 0x80) == 0) return value;
    }
    Fail();
    return 0;
  }
  uint32_t U32() {
    const uint64_t value = Leb(32);
    if (value > UINT32_MAX) Fail();
    return static_cast<uint32_t>(value);
  }
  // A number of things, at most `limit`.
  uint32_t Count(uint32_t limit) {
    const uint32_t count = U32();
    if (count > limit) Fail();
    return ok_ ? count : 0;
  }

  std::string_view Bytes(uint64_t n) {
    if (n > in_.size()) {
      Fail();
      return {};
    }
    const std::string_view bytes = in_.substr(0, n);
    in_.remove_prefix(n);
    return bytes;
  }
  std::string_view Name() { return Bytes(U32()); }
  std::string_view Rest() { return Bytes(in_.size()); }

 private:
  std::string_view in_;
  size_t size_;
  bool ok_ = true;
};

struct Context {
  ModuleShape shape;
  std::vector<std::string> types;   // signatures
  std::vector<uint32_t> functions;  // type of each function, imported ones first
  uint32_t imported_functions = 0;
  std::string_view names;  // the name section
};

// A value type's letter; reference types with a heap type are read past.
char ValueType(Reader& r) {
  switch (r.Byte()) {
    case 0x7f:
      return 'i';
    case 0x7e:
      return 'I';
    case 0x7d:
      return 'f';
    case 0x7c:
      return 'F';
    case 0x63:
    case 0x64:
      r.Leb(35);
      return '?';
    default:
      return '?';
  }
}

std::string ValueTypes(Reader& r) {
  std::string letters;
  const uint32_t count = r.Count(kMaxValuesPerType);
  for (uint32_t i = 0; i < count && r.ok(); ++i) letters.push_back(ValueType(r));
  return letters;
}

void ReadTypes(Reader& r, Context& c) {
  const uint32_t count = r.Count(kMaxTypes);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    // Anything but a plain function type belongs to a refused proposal.
    if (r.Byte() != 0x60) return r.Fail();
    std::string signature = ValueTypes(r);
    signature.push_back(':');
    signature += ValueTypes(r);
    c.types.push_back(std::move(signature));
  }
}

struct Limits {
  uint64_t min = 0;
  std::optional<uint64_t> max;
  uint8_t flags = 0;
};

Limits ReadLimits(Reader& r) {
  Limits limits;
  limits.flags = r.Byte();
  limits.min = r.Leb(64);
  if ((limits.flags & 1) != 0) limits.max = r.Leb(64);
  if ((limits.flags & 8) != 0) r.U32();  // a page size of its own
  return limits;
}

MemoryShape ReadMemory(Reader& r) {
  const Limits limits = ReadLimits(r);
  return {limits.min, limits.max, (limits.flags & 2) != 0, (limits.flags & 4) != 0};
}

TableShape ReadTable(Reader& r) {
  const uint8_t type = r.Byte();
  if (type == 0x40) return r.Fail(), TableShape{};  // with an initial value: a refused proposal
  if (type == 0x63 || type == 0x64) r.Leb(35);
  return {ReadLimits(r).min};
}

std::string SignatureOf(const Context& c, uint32_t type) {
  return type < c.types.size() ? c.types[type] : "?";
}

void ReadImports(Reader& r, Context& c) {
  const uint32_t count = r.Count(kMaxImports);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    Import import;
    import.module = r.Name();
    import.name = r.Name();
    const uint8_t kind = r.Byte();
    if (kind > static_cast<uint8_t>(ItemKind::kTag)) r.Fail();
    import.kind = static_cast<ItemKind>(kind);
    switch (import.kind) {
      case ItemKind::kFunction: {
        const uint32_t type = r.U32();
        import.signature = SignatureOf(c, type);
        c.functions.push_back(type);
        ++c.imported_functions;
        break;
      }
      case ItemKind::kTable:
        ReadTable(r);
        break;
      case ItemKind::kMemory:
        ReadMemory(r);
        break;
      case ItemKind::kGlobal:
        ValueType(r);
        r.Byte();
        break;
      case ItemKind::kTag:
        r.Byte();
        r.U32();
        break;
    }
    if (r.ok()) c.shape.imports.push_back(std::move(import));
  }
}

void ReadFunctions(Reader& r, Context& c) {
  const uint32_t count = r.Count(kMaxFunctions);
  for (uint32_t i = 0; i < count && r.ok(); ++i) c.functions.push_back(r.U32());
}

void ReadExports(Reader& r, Context& c) {
  const uint32_t count = r.Count(kMaxExports);
  for (uint32_t i = 0; i < count && r.ok(); ++i) {
    Export item;
    item.name = r.Name();
    const uint8_t kind = r.Byte();
    if (kind > static_cast<uint8_t>(ItemKind::kTag)) r.Fail();
    item.kind = static_cast<ItemKind>(kind);
    item.index = r.U32();
    if (item.kind == ItemKind::kFunction) {
      item.signature =
          item.index < c.functions.size() ? SignatureOf(c, c.functions[item.index]) : "?";
    }
    if (r.ok()) c.shape.exports.push_back(std::move(item));
  }
}

// Names of functions, from subsection 1 of the name section, up to kMaxNamesRead. A malformed one
// names nothing.
absl::flat_hash_map<uint32_t, std::string_view> ReadFunctionNames(std::string_view bytes) {
  absl::flat_hash_map<uint32_t, std::string_view> names;
  Reader section(bytes);
  while (!section.empty() && section.ok()) {
    const uint8_t id = section.Byte();
    Reader r(section.Bytes(section.U32()));
    if (id != 1) continue;
    const uint32_t count = r.U32();
    for (uint32_t i = 0; i < std::min<uint64_t>(count, kMaxNamesRead) && r.ok(); ++i) {
      const uint32_t index = r.U32();
      const std::string_view name = r.Name();
      if (r.ok()) names[index] = name;
    }
  }
  return names;
}

void NameExports(Context& c) {
  if (c.shape.exports.empty() || c.names.empty()) return;
  const auto names = ReadFunctionNames(c.names);
  for (Export& item : c.shape.exports) {
    const auto found = names.find(item.index);
    if (item.kind == ItemKind::kFunction && found != names.end()) {
      item.function_name = found->second;
    }
  }
}

void ReadCustom(Reader& r, size_t begin, size_t end, Context& c) {
  const std::string_view name = r.Name();
  if (!r.ok()) return;
  const std::string_view bytes = r.Rest();
  if (name == "name") c.names = bytes;
  c.shape.customs.push_back({name, bytes, begin, end});
}

void ReadSection(uint8_t id, Reader& r, Context& c) {
  switch (id) {
    case 1:
      ReadTypes(r, c);
      break;
    case 2:
      ReadImports(r, c);
      break;
    case 3:
      ReadFunctions(r, c);
      break;
    case 4: {
      const uint32_t count = r.Count(kMaxImports);
      for (uint32_t i = 0; i < count && r.ok(); ++i) c.shape.tables.push_back(ReadTable(r));
      break;
    }
    case 5: {
      const uint32_t count = r.Count(kMaxImports);
      for (uint32_t i = 0; i < count && r.ok(); ++i) c.shape.memories.push_back(ReadMemory(r));
      break;
    }
    case 7:
      ReadExports(r, c);
      break;
    case 8:
      c.shape.has_start = true;
      break;
    default:
      break;
  }
}

}  // namespace

std::string_view ItemKindName(ItemKind kind) {
  switch (kind) {
    case ItemKind::kFunction:
      return "function";
    case ItemKind::kTable:
      return "table";
    case ItemKind::kMemory:
      return "memory";
    case ItemKind::kGlobal:
      return "global";
    case ItemKind::kTag:
      return "tag";
  }
  return "item";
}

ModuleShape ReadModule(std::string_view wasm) {
  Context c;
  if (wasm.size() < kHeaderBytes) return std::move(c.shape);
  Reader r(wasm.substr(kHeaderBytes));
  bool complete = true;
  while (!r.empty() && r.ok()) {
    const size_t begin = kHeaderBytes + r.position();
    const uint8_t id = r.Byte();
    Reader section(r.Bytes(r.U32()));
    if (!r.ok()) break;
    c.shape.sections.push_back({id, kHeaderBytes + r.position() - begin});
    if (id == 0) {
      ReadCustom(section, begin, kHeaderBytes + r.position(), c);
    } else {
      ReadSection(id, section, c);
    }
    complete = complete && section.ok();
  }
  NameExports(c);
  c.shape.complete = complete && r.ok();
  return std::move(c.shape);
}

}  // namespace caxton::examine

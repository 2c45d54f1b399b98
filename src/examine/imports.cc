// SPDX-License-Identifier: Apache-2.0
//
// What a module imports, against what the host offers. A module that was made for another host (a
// browser, Emscripten's runtime) imports hundreds of functions: they are told module by module, and
// the remedy names the toolchain.
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "caxton/base/strings.h"
#include "caxton/examine/limits.h"
#include "caxton/model/names.h"
#include "caxton/wasm/abi.h"
#include "checks.h"

namespace caxton::examine {
namespace {

// Signs of a toolchain that builds for another host, and what to do about it. A '*' ends what only
// has to begin like this; the first row that fits counts.
struct OtherHost {
  std::string_view module;
  std::string_view name;
  std::string_view fix;
};
constexpr std::string_view kEmscripten =
    "this is the JavaScript runtime of Emscripten: build with clang --target=wasm32-wasi "
    "(sdk/README.md), or with emcc -sSTANDALONE_WASM --no-entry";
constexpr std::string_view kMinified =
    "emcc shortened the names; this looks like its JavaScript runtime: build with clang "
    "--target=wasm32-wasi (sdk/README.md), or with emcc -sSTANDALONE_WASM --no-entry";
constexpr std::string_view kWasmBindgen =
    "this is the JavaScript glue of wasm-bindgen: build for wasm32-wasip1 without wasm-bindgen and "
    "without features for browsers (\"js\")";
constexpr std::string_view kGoForBrowsers =
    "build with GOOS=wasip1 GOARCH=wasm -buildmode=c-shared, not with GOOS=js";
constexpr std::string_view kDynamic =
    "this is linked with others at run time: link everything into one module";
constexpr std::string_view kThreads = "build without threads: an agent handles one message at once";
constexpr std::string_view kNode = "this is an addon of Node: build the library without N-API";
constexpr std::string_view kWasi2 =
    "this is WASI 0.2, or a part of a component: build for wasm32-wasip1, not wasm32-wasip2";
constexpr std::string_view kNoFiles =
    "an agent has no files, no sockets and no processes: leave out what uses them (sdk/abi/abi.md, "
    "section W)";
constexpr OtherHost kOtherHosts[] = {
    {"wbg", "*", kWasmBindgen},
    {"*", "__wbindgen*", kWasmBindgen},
    {"*", "__wbg_*", kWasmBindgen},
    {"gojs", "*", kGoForBrowsers},
    {"go", "*", kGoForBrowsers},
    {"a", "*", kMinified},
    {"GOT.*", "*", kDynamic},
    {"env", "__memory_base", kDynamic},
    {"env", "__table_base", kDynamic},
    {"env", "__stack_pointer", kDynamic},
    {"__main_module__", "*", kDynamic},
    {"wasi", "thread-spawn", kThreads},
    {"env", "__pthread*", kThreads},
    {"env", "_emscripten_thread*", kThreads},
    {"env", "napi_*", kNode},
    {"wasi:*", "*", kWasi2},
    {"", "*", kWasi2},
    {"wasi_snapshot_preview1", "clock_res_get", "leave it out: the clock is the step's own"},
    {"wasi_snapshot_preview1", "fd_*", kNoFiles},
    {"wasi_snapshot_preview1", "path_*", kNoFiles},
    {"wasi_snapshot_preview1", "sock_*", kNoFiles},
    {"wasi_snapshot_preview1", "proc_*", kNoFiles},
    {"env", "emscripten_*", kEmscripten},
    {"env", "_emscripten_*", kEmscripten},
    {"env", "__syscall_*", kEmscripten},
    {"env", "_embind_*", kEmscripten},
    {"env", "_emval_*", kEmscripten},
    {"env", "invoke_*", kEmscripten},
    {"env", "__cxa_*", kEmscripten},
    {"env", "__assert_fail", kEmscripten},
    {"env", "_abort_js", kEmscripten},
};

bool Fits(std::string_view pattern, std::string_view text) {
  if (!pattern.ends_with('*')) return pattern == text;
  return text.starts_with(pattern.substr(0, pattern.size() - 1));
}

std::string ImportPlace(const Import& import) {
  return StrCat("import ", Shown(import.module), ".", Shown(import.name));
}

std::string_view OtherHostFix(const Import& import) {
  for (const OtherHost& host : kOtherHosts) {
    if (Fits(host.module, import.module) && Fits(host.name, import.name)) return host.fix;
  }
  return {};
}

// The nearest name that could have been meant, as "did you mean caxton.reply?"; else empty.
std::string Suggestion(const Import& import) {
  std::vector<std::string> modules;
  std::vector<std::string> names;
  for (const wasm::ImportRule& rule : wasm::ImportRules()) {
    if (rule.later) continue;
    modules.emplace_back(rule.module);
    if (rule.module == import.module) names.emplace_back(rule.name);
  }
  if (!names.empty()) {
    const std::string name = NearestName(import.name, names);
    return name.empty() ? "" : StrCat("did you mean ", import.module, ".", name, "?");
  }
  const std::string module = NearestName(import.module, modules);
  return module.empty() ? "" : StrCat("did you mean the module \"", module, "\"?");
}

std::string UnknownFix(const Import& import) {
  if (const std::string_view fix = OtherHostFix(import); !fix.empty()) return std::string(fix);
  if (std::string fix = Suggestion(import); !fix.empty()) return fix;
  return import.kind == ItemKind::kMemory
             ? "define the memory in the module and export it as \"memory\""
             : "link without it: an agent may import only what sdk/abi/abi.md lists";
}

// Imports that the host does not offer: some are told one by one, the rest as a sum.
class UnknownImports final {
 public:
  explicit UnknownImports(Findings* findings) : findings_(findings) {}

  void Add(const Import& import) {
    if (modules_.size() >= kMaxListedImports && modules_.count(import.module) == 0) {
      others_.Add(StrCat(Shown(import.module), ".", Shown(import.name)));
      return;
    }
    Module& module = modules_[import.module];
    if (module.listed++ < kMaxListedImports) {
      findings_->Error(
          "UNKNOWN_IMPORT", ImportPlace(import),
          StrCat("the module imports the ", ItemKindName(import.kind), " ", Shown(import.module),
                 ".", Shown(import.name), ", which the host does not offer"),
          UnknownFix(import));
      return;
    }
    if (module.fix.empty()) module.fix = OtherHostFix(import);
    module.rest.Add(Shown(import.name));
  }

  // Once, after the last one.
  void Finish() {
    for (const auto& [name, module] : modules_) {
      if (module.rest.count == 0) continue;
      Tell(StrCat("import ", Shown(name), ".*"), StrCat("of the module ", Shown(name)), module.rest,
           module.fix);
    }
    if (others_.count > 0) Tell("imports", "of other modules", others_, "");
  }

 private:
  struct Sum {
    size_t count = 0;
    std::string names;

    void Add(const std::string& name) {
      if (++count <= kMaxSummedImportNames) StrAppend(&names, names.empty() ? "" : ", ", name);
    }
  };
  struct Module {
    size_t listed = 0;
    Sum rest;
    std::string_view fix;
  };

  void Tell(std::string place, const std::string& whose, const Sum& sum, std::string_view fix) {
    findings_->Error("UNKNOWN_IMPORT", std::move(place),
                     StrCat("the module imports ", sum.count, " more ", whose,
                            " that the host does not offer: ", sum.names,
                            sum.count > kMaxSummedImportNames ? ", ..." : ""),
                     fix.empty() ? "link without them" : std::string(fix));
  }

  Findings* const findings_;
  std::map<std::string_view, Module> modules_;
  Sum others_;
};

std::string_view TypeFix(const Import& import, const wasm::ImportRule& rule) {
  // AssemblyScript's abort tells where; the one of Emscripten has no parameters.
  if (import.module == "env" && import.signature == ":") return kEmscripten;
  if (import.module == wasm::kWasiModule && StrContains(rule.signature, "I") &&
      !StrContains(import.signature, "I")) {
    return "emcc made two i32 of each i64: build with -sWASM_BIGINT, or with clang "
           "--target=wasm32-wasi";
  }
  return "correct the declaration, or use the SDK's header";
}

void CheckKnown(const Import& import, const wasm::ImportRule& rule, Findings* findings) {
  if (rule.later) {
    findings->Error("NOT_IN_THIS_RELEASE", ImportPlace(import),
                    StrCat("the module imports caxton.", rule.name,
                           ": this release has no stateful agents and no timers"),
                    "build the agent without it");
    return;
  }
  if (import.kind != ItemKind::kFunction) {
    findings->Error(
        "IMPORT_KIND", ImportPlace(import),
        StrCat("the module imports ", rule.module, ".", rule.name, " as a ",
               ItemKindName(import.kind), ", but it is a function"),
        StrCat("declare it as a function of type ", wasm::SignatureText(rule.signature)));
    return;
  }
  if (import.signature != rule.signature) {
    findings->Error("IMPORT_TYPE", ImportPlace(import),
                    StrCat("the module imports ", rule.module, ".", rule.name, " as ",
                           SignatureShown(import.signature), ", but it is ",
                           wasm::SignatureText(rule.signature)),
                    std::string(TypeFix(import, rule)));
  }
}

}  // namespace

void CheckImports(const ModuleShape& shape, Findings* findings) {
  UnknownImports unknown(findings);
  for (const Import& import : shape.imports) {
    const wasm::ImportRule* rule = wasm::FindImportRule(import.module, import.name);
    if (rule == nullptr) {
      unknown.Add(import);
    } else {
      CheckKnown(import, *rule, findings);
    }
  }
  unknown.Finish();
}

}  // namespace caxton::examine

// SPDX-License-Identifier: Apache-2.0
//
// The ABI's imports and exports as modules: what wasm-smith takes its own from. Signatures in the
// short form of caxton/wasm/abi.h.

use wasm_encoder::{
    CodeSection, EntityType, ExportKind, ExportSection, Function, FunctionSection, ImportSection,
    MemorySection, MemoryType, Module, TypeSection, ValType,
};

const IMPORTS: &[(&str, &str, &str)] = &[
    ("caxton", "message_get", "iii:i"),
    ("caxton", "message_header_get", "iiii:i"),
    ("caxton", "reply", "iii:i"),
    ("caxton", "message_new", "iii:i"),
    ("caxton", "message_set", "iiii:i"),
    ("caxton", "message_header_set", "iiiii:i"),
    ("caxton", "message_send", "i:i"),
    ("caxton", "config_get", "iiii:i"),
    ("caxton", "now", ":I"),
    ("caxton", "random", "ii:i"),
    ("caxton", "log", "iii:"),
    ("env", "abort", "iiii:"),
    ("env", "seed", ":F"),
    ("wasi_snapshot_preview1", "args_sizes_get", "ii:i"),
    ("wasi_snapshot_preview1", "clock_time_get", "iIi:i"),
    ("wasi_snapshot_preview1", "random_get", "ii:i"),
    ("wasi_snapshot_preview1", "fd_write", "iiii:i"),
    ("wasi_snapshot_preview1", "fd_fdstat_get", "ii:i"),
    ("wasi_snapshot_preview1", "path_open", "iiiiiIIii:i"),
    ("wasi_snapshot_preview1", "poll_oneoff", "iiii:i"),
    ("wasi_snapshot_preview1", "proc_exit", "i:"),
];

const REQUIRED: &[(&str, &str)] = &[("agent_alloc", "i:i"), ("handle_message", "ii:i")];
const OPTIONAL: &[(&str, &str)] = &[
    ("_initialize", ":"),
    ("agent_init", ":i"),
    ("agent_shutdown", ":"),
    ("health_check", ":i"),
    ("get_capabilities", ":I"),
];

fn values(letters: &str) -> Vec<ValType> {
    letters
        .chars()
        .map(|letter| match letter {
            'i' => ValType::I32,
            'I' => ValType::I64,
            'f' => ValType::F32,
            _ => ValType::F64,
        })
        .collect()
}

fn add_type(types: &mut TypeSection, signature: &str) {
    let (parameters, results) = signature.split_once(':').expect("a signature has a colon");
    types.ty().function(values(parameters), values(results));
}

/// A module that imports everything an agent may import; wasm-smith takes some of it.
pub fn imports() -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut imports = ImportSection::new();
    for (index, (module, name, signature)) in IMPORTS.iter().enumerate() {
        add_type(&mut types, signature);
        imports.import(module, name, EntityType::Function(index as u32));
    }
    let mut module = Module::new();
    module.section(&types).section(&imports);
    module.finish()
}

/// A module that exports what an agent must, and the optional ones that `choice` has bits for.
pub fn exports(choice: u64) -> Vec<u8> {
    let mut types = TypeSection::new();
    let mut functions = FunctionSection::new();
    let mut exports = ExportSection::new();
    let mut code = CodeSection::new();
    let chosen = OPTIONAL.iter().enumerate().filter(|(bit, _)| choice >> bit & 1 != 0);
    for (index, (name, signature)) in
        REQUIRED.iter().chain(chosen.map(|(_, item)| item)).enumerate()
    {
        add_type(&mut types, signature);
        functions.function(index as u32);
        exports.export(name, ExportKind::Func, index as u32);
        let mut body = Function::new([]);
        body.instructions().unreachable().end();
        code.function(&body);
    }
    exports.export("memory", ExportKind::Memory, 0);
    let mut memories = MemorySection::new();
    memories.memory(MemoryType {
        minimum: 1 + (choice >> 32) % 4,
        maximum: if choice >> 48 & 1 == 0 { None } else { Some(64) },
        memory64: false,
        shared: false,
        page_size_log2: None,
    });
    let mut module = Module::new();
    module.section(&types).section(&functions).section(&memories).section(&exports).section(&code);
    module.finish()
}

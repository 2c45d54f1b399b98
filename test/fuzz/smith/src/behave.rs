// SPDX-License-Identifier: Apache-2.0
//
// What wasm-smith makes of an agent nearly always fails at once: its agent_alloc answers with an
// address that is none, its agent_init says that it failed. Here the exports get the results that
// the ABI asks for and keep their bodies, so that most agents are run to the last stage.

use std::collections::HashMap;
use wasm_encoder::reencode::{utils, Error, Reencode};
use wasm_encoder::{CodeSection, CustomSection, Function, Instruction, Module};
use wasmparser::{ExternalKind, FunctionBody, Parser, Payload, TypeRef};

/// Within the first page of the memory.
const ROOM: i32 = 4096;

/// Manifests that agents may have: what they say of themselves is true of few.
const MANIFESTS: &[&str] = &[
    r#"{"name":"generated","version":"1","abi":1,"instance":"reused"}"#,
    r#"{"samples":[{"performative":"REQUEST","json":{"n":1}},{"content":"x"}]}"#,
    r#"{"consumes":{"REQUEST":{"type":"object","required":["n"],"properties":{"n":{"minimum":3}}},
        "INFORM":{"type":"array","items":{"type":"string"},"minItems":2}},"produces":{}}"#,
    r#"{"produces":{"INFORM":{"type":"string"},"FAILURE":false},"sends_to":{"a":["REQUEST"]}}"#,
];

/// The value that an export is to return, in place of what its body leaves.
fn wanted(name: &str) -> Option<Instruction<'static>> {
    match name {
        "agent_alloc" => Some(Instruction::I32Const(ROOM)),
        "agent_init" | "handle_message" | "health_check" => Some(Instruction::I32Const(0)),
        // No bytes: no manifest.
        "get_capabilities" => Some(Instruction::I64Const(0)),
        _ => None,
    }
}

struct Results {
    /// By the number among the functions that have a body.
    wanted: HashMap<u32, Instruction<'static>>,
    next: u32,
}

impl Reencode for Results {
    type Error = std::convert::Infallible;

    fn parse_function_body(
        &mut self,
        code: &mut CodeSection,
        body: FunctionBody<'_>,
    ) -> Result<(), Error<Self::Error>> {
        let number = self.next;
        self.next += 1;
        let Some(result) = self.wanted.get(&number).cloned() else {
            return utils::parse_function_body(self, code, body);
        };
        let mut function: Function = self.new_function_with_parsed_locals(&body)?;
        let mut reader = body.get_operators_reader()?;
        while !reader.eof() {
            let instruction = self.parse_instruction(&mut reader)?;
            if reader.eof() {
                function.instruction(&Instruction::Drop).instruction(&result);
            }
            function.instruction(&instruction);
        }
        code.function(&function);
        Ok(())
    }
}

/// `wasm`, a valid agent, with these results; and with a manifest for one in four of `choice`.
pub fn behave(wasm: &[u8], choice: u64) -> Option<Vec<u8>> {
    let (mut imported, mut exported) = (0, Vec::new());
    for payload in Parser::new(0).parse_all(wasm) {
        match payload.ok()? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    imported += u32::from(matches!(import.ok()?.ty, TypeRef::Func(_)));
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    let export = export.ok()?;
                    if export.kind == ExternalKind::Func {
                        exported.push((export.index, wanted(export.name)));
                    }
                }
            }
            _ => {}
        }
    }
    let mut results = Results { wanted: HashMap::new(), next: 0 };
    for (index, result) in exported {
        if let (Some(number), Some(result)) = (index.checked_sub(imported), result) {
            results.wanted.insert(number, result);
        }
    }
    let mut module = Module::new();
    results.parse_core_module(&mut module, Parser::new(0), wasm).ok()?;
    if choice % 4 == 0 {
        let text = MANIFESTS[(choice / 4) as usize % MANIFESTS.len()];
        module.section(&CustomSection {
            name: "caxton.manifest".into(),
            data: text.as_bytes().into(),
        });
    }
    Some(module.finish())
}

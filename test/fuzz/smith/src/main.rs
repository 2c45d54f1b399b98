// SPDX-License-Identifier: Apache-2.0
//
//   caxton-smith SEED FIRST COUNT
//
// Writes the modules FIRST to FIRST + COUNT - 1 of the series SEED to stdout, each with its length
// in front (four bytes, little-endian). Module N of a series is always the same: what a run found
// can be made again.

mod behave;
mod shapes;

use arbitrary::{Arbitrary, Unstructured};
use std::io::{BufWriter, Write};
use wasm_smith::{Config, Module};

/// SplitMix64, as in src/base/random.cc.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.next() as u8).collect()
    }
}

/// Only what the engine accepts. Reference types bring externref, which it does not.
fn accepted() -> Config {
    Config {
        exceptions_enabled: false,
        gc_enabled: false,
        compact_imports_enabled: false,
        memory64_enabled: false,
        reference_types_enabled: false,
        relaxed_simd_enabled: false,
        tail_call_enabled: false,
        threads_enabled: false,
        wide_arithmetic_enabled: false,
        extended_const_enabled: false,
        max_memories: 1,
        max_tables: 2,
        ..Config::default()
    }
}

/// An agent: the ABI's exports and imports, with bodies that do anything; most of them do it and
/// then say that all is well.
fn agent(random: &mut Random, bytes: &[u8]) -> arbitrary::Result<Vec<u8>> {
    let config = Config {
        available_imports: Some(shapes::imports()),
        exports: Some(shapes::exports(random.next())),
        max_memories: 0, // beside the one that is exported
        max_memory32_bytes: 32 << 20,
        max_table_elements: 1000,
        allow_start_export: random.below(8) == 0,
        reference_types_enabled: random.below(8) == 0,
        disallow_traps: random.below(2) == 0,
        max_instructions: 300,
        ..accepted()
    };
    let mut module = Module::new(config, &mut Unstructured::new(bytes))?;
    // Without it one in a few never ends, and every run of it takes its whole time limit.
    if random.below(64) != 0 {
        let _ = module.ensure_termination(1 + random.below(5000) as u32);
    }
    let wasm = module.to_bytes();
    if random.below(8) == 0 {
        return Ok(wasm);
    }
    Ok(behave::behave(&wasm, random.next()).expect("what wasm-smith makes can be read"))
}

fn make(random: &mut Random) -> Vec<u8> {
    let size = 64 << random.below(9);
    let bytes = random.bytes(size);
    let kind = random.below(20);
    let made = match kind {
        0..=10 => agent(random, &bytes),
        // Valid, and no agent.
        11..=13 => {
            Module::new(accepted(), &mut Unstructured::new(&bytes)).map(|module| module.to_bytes())
        }
        // Any proposal at all.
        _ => {
            let choices = random.bytes(1024);
            Config::arbitrary(&mut Unstructured::new(&choices))
                .and_then(|config| Module::new(config, &mut Unstructured::new(&bytes)))
                .map(|module| module.to_bytes())
        }
    };
    let mut wasm = made.unwrap_or_default();
    // Some are damaged afterwards.
    if kind >= 17 || random.below(16) == 0 {
        for _ in 0..1 + random.below(4) {
            if wasm.is_empty() {
                break;
            }
            let at = random.below(wasm.len() as u64) as usize;
            wasm[at] = random.next() as u8;
        }
    }
    wasm
}

fn main() {
    let numbers: Vec<u64> =
        std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let [seed, first, count] = numbers[..] else {
        eprintln!("usage: caxton-smith SEED FIRST COUNT");
        std::process::exit(2);
    };
    let mut out = BufWriter::new(std::io::stdout().lock());
    for number in first..first + count {
        let mut random = Random(seed ^ number.wrapping_mul(0x2545_f491_4f6c_dd1d));
        random.next();
        let wasm = make(&mut random);
        let head = (wasm.len() as u32).to_le_bytes();
        if out.write_all(&head).and_then(|()| out.write_all(&wasm)).is_err() {
            return; // Whoever reads has seen enough.
        }
    }
}

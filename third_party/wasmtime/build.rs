// SPDX-License-Identifier: Apache-2.0

//! Copies Wasmtime's C and C++ headers, with the `conf.h` that Wasmtime's own
//! build script made for exactly these features, to `CAXTON_WASMTIME_INCLUDE`.

use std::path::Path;
use std::{env, fs, io};

fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &target)?;
        } else {
            // Written afresh: files from a registry may be read-only, and so
            // would be their copies.
            fs::write(&target, fs::read(entry.path())?)?;
        }
    }
    Ok(())
}

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CAXTON_WASMTIME_INCLUDE");
    let from = env::var_os("DEP_WASMTIME_C_API_INCLUDE")
        .expect("wasmtime-c-api-impl did not say where its headers are");
    if let Some(to) = env::var_os("CAXTON_WASMTIME_INCLUDE") {
        copy_tree(Path::new(&from), Path::new(&to)).expect("cannot copy Wasmtime's headers");
    }
}

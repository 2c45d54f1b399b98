// SPDX-License-Identifier: Apache-2.0

//! Wasmtime's C API as one static library: this crate only re-exports it, so
//! that its `extern "C"` functions end up in `libcaxton_wasmtime.a`.

pub use wasmtime_c_api::*;

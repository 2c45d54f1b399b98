;; SPDX-License-Identifier: Apache-2.0
;; agent_init ends the program.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 32)
  (func (export "agent_init") (result i32)
    (call $exit (i32.const 0))
    (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

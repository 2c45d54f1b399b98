;; SPDX-License-Identifier: Apache-2.0
;; W8: `proc_exit` is a trap, also with 0.
(module
  (import "wasi_snapshot_preview1" "proc_exit" (func $proc_exit
    (param i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $proc_exit (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48)))
    (i32.const 0)))

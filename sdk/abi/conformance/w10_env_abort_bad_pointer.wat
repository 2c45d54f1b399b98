;; SPDX-License-Identifier: Apache-2.0
;; W10: ... and a bad pointer, or none, is just a trap.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $abort
      (if (result i32) (local.get $len) (then (i32.const -2)) (else (i32.const 0)))
      (i32.const 3) (i32.const 12) (i32.const 3))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; I18 F14: a line of each level; a bad range is dropped and does no harm.
(module
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "one")
  (data (i32.const 32) "two")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $log (i32.const 0) (i32.const 16) (i32.const 3))
    (call $log (i32.const 1) (i32.const 32) (i32.const 3))
    (call $log (i32.const 2) (i32.const -1) (i32.const 100))
    (call $log (i32.const 3) (i32.const 16) (i32.const -1))
    (call $log (i32.const 2) (local.get $ptr) (local.get $len))
    (call $log (i32.const 99) (i32.const 16) (i32.const 3))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; A start function that does what it may: it logs.
(module
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "started")
  (func $begin
    (call $log (i32.const 2) (i32.const 16) (i32.const 7)))
  (start $begin)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

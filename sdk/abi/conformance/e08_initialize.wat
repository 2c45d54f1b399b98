;; SPDX-License-Identifier: Apache-2.0
;; E8 E9 L1: start function, `_initialize` and `agent_init` run in this order, each once, before a message.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $order (mut i32) (i32.const 0))
  (func $then (param $digit i32)
    (global.set $order (i32.add (i32.mul (global.get $order) (i32.const 10)) (local.get $digit))))
  (func $start
    (call $then (i32.const 1)))
  (start $start)
  (func (export "_initialize")
    (call $then (i32.const 2)))
  (func (export "agent_init") (result i32)
    (call $then (i32.const 3))
    (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.ne (global.get $order) (i32.const 123)) (then (return (global.get $order))))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; I8 I1: a receiver that is neither the name of an agent nor a sender is -5.
(module
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "No Such Name")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $message_new (i32.const 16) (i32.const 12) (i32.const 1)) (i32.const -5))
    (call $check (i32.const 11) (call $message_new (i32.const 16) (i32.const 0) (i32.const 1)) (i32.const -5))
    (global.get $failed)))

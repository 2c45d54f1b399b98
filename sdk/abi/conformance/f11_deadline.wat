;; SPDX-License-Identifier: Apache-2.0
;; F11: the deadline reads as eight bytes, little-endian.
(module
  (import "caxton" "message_get" (func $message_get (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $message_get (i32.const 11) (i32.const 257) (i32.const 8)) (i32.const 8))
    (call $check (i32.const 11)
      (i64.eq (i64.load align=1 (i32.const 257)) (i64.const 1700000060000000000)) (i32.const 1))
    (global.get $failed)))

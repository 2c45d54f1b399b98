;; SPDX-License-Identifier: Apache-2.0
;; I9 F9 F11 F12: values at their limits and one beyond.
(module
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_set" (func $message_set (param i32 i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $message_send (param i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "other")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  ;; text without a NUL, for the text fields
  (func $fill
    (memory.fill (i32.const 8192) (i32.const 97) (i32.const 2048)))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $m i32)
    (call $fill)
    (local.set $m (call $message_new (i32.const 16) (i32.const 5) (i32.const 1)))
    (call $check (i32.const 10) (call $message_set (local.get $m) (i32.const 4) (i32.const 8192) (i32.const 1024)) (i32.const 0))
    (call $check (i32.const 11) (call $message_set (local.get $m) (i32.const 4) (i32.const 8192) (i32.const 1025)) (i32.const -4))
    (call $check (i32.const 12) (call $message_set (local.get $m) (i32.const 9) (i32.const 0) (i32.const 65536)) (i32.const 0))
    (call $check (i32.const 13) (call $message_set (local.get $m) (i32.const 9) (i32.const 0) (i32.const 65537)) (i32.const -4))
    (call $check (i32.const 14) (call $message_set (local.get $m) (i32.const 11) (i32.const 16) (i32.const 7)) (i32.const -2))
    (call $check (i32.const 15) (call $message_send (local.get $m)) (i32.const 0))
    (global.get $failed)))

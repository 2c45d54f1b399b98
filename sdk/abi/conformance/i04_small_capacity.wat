;; SPDX-License-Identifier: Apache-2.0
;; I4 I5 I14: a small `cap`: that many bytes are copied, nothing behind them is touched, the full length is returned. A cap of 0 asks for the length.
(module
  (import "caxton" "message_get" (func $message_get (param i32 i32 i32) (result i32)))
  (import "caxton" "message_header_get" (func $message_header_get (param i32 i32 i32 i32) (result i32)))
  (import "caxton" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "greeting")
  (data (i32.const 32) "x-tint")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i64.store (i32.const 256) (i64.const -1))
    (call $check (i32.const 10) (call $message_get (i32.const 1) (i32.const 256) (i32.const 0)) (i32.const 18))
    (call $check (i32.const 11) (i32.load8_u (i32.const 256)) (i32.const 255))
    (call $check (i32.const 12) (call $message_get (i32.const 1) (i32.const 256) (i32.const 3)) (i32.const 18))
    (call $check (i32.const 13) (i32.load (i32.const 256)) (i32.const 0xff696c63))  ;; "cli" and an untouched byte
    (i64.store (i32.const 256) (i64.const -1))
    (call $check (i32.const 14)
      (call $message_header_get (i32.const 32) (i32.const 6) (i32.const 256) (i32.const 1)) (i32.const 4))
    (call $check (i32.const 15) (i32.load16_u (i32.const 256)) (i32.const 0xff62))  ;; "b"
    (i64.store (i32.const 256) (i64.const -1))
    (call $check (i32.const 16)
      (call $config_get (i32.const 16) (i32.const 8) (i32.const 256) (i32.const 2)) (i32.const 5))
    (call $check (i32.const 17) (i32.load (i32.const 256)) (i32.const 0xffff6568))  ;; "he"
    (global.get $failed)))

;; SPDX-License-Identifier: Apache-2.0
;; F3 F13: the performative reads as one byte; each number is what section F says.
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
    (call $check (i32.const 10) (call $message_get (i32.const 3) (i32.const 256) (i32.const 8)) (i32.const 1))
    ;; the message holds the expected number
    (call $check (i32.const 11) (i32.load8_u (i32.const 256)) (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48)))
    (call $check (i32.const 12) (i32.load8_u (i32.const 257)) (i32.const 0))
    (global.get $failed)))

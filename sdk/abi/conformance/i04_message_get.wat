;; SPDX-License-Identifier: Apache-2.0
;; I4 F0 F1 F2 F4 F5 F6 F7 F8 F9 F10: each text field, into memory at an odd place.
(module
  (import "caxton" "message_get" (func $message_get (param i32 i32 i32) (result i32)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $field i32) (local $size i32)
    ;; the message holds the number of the field as two digits; the reply is the field
    (local.set $field (i32.add
      (i32.mul (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48)) (i32.const 10))
      (i32.sub (i32.load8_u offset=1 (local.get $ptr)) (i32.const 48))))
    (local.set $size (call $message_get (local.get $field) (i32.const 257) (i32.const 1024)))
    (if (i32.lt_s (local.get $size) (i32.const 0)) (then (return (i32.const 10))))
    (call $reply (i32.const 1) (i32.const 257) (local.get $size))))

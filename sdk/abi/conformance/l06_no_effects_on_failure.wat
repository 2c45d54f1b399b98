;; SPDX-License-Identifier: Apache-2.0
;; L6: a step that does not end with 0 has neither reply nor messages.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $message_send (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "reply")
  (data (i32.const 32) "other")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (drop (call $reply (i32.const 1) (i32.const 16) (i32.const 5)))
    (drop (call $message_send (call $message_new (i32.const 32) (i32.const 5) (i32.const 1))))
    (if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 116)) (then (unreachable)))  ;; 't'
    (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48))))

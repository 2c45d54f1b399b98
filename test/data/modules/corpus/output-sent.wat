;; SPDX-License-Identifier: Apache-2.0
;; What it sends to another agent does not fit either.
(module
  (import "caxton" "message_new" (func $new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_set" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $send (param i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "sink")
  (data (i32.const 32) "[]")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $message i32)
    (local.set $message (call $new (i32.const 16) (i32.const 4) (i32.const 1)))
    (drop (call $set (local.get $message) (i32.const 9) (i32.const 32) (i32.const 2)))
    (call $send (local.get $message))))

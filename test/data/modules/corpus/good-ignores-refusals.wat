;; SPDX-License-Identifier: Apache-2.0
;; Wild pointers and lengths are refused by number; who goes on has sent nothing.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (import "caxton" "message_new" (func $new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $send (param i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (drop (call $reply (i32.const 1) (i32.const 0x7fffffff) (i32.const -1)))
    (drop (call $reply (i32.const 99) (i32.const 0) (i32.const 0)))
    (drop (call $new (i32.const -1) (i32.const -1) (i32.const 1)))
    (drop (call $send (i32.const 12345)))
    (call $log (i32.const 2) (i32.const -1) (i32.const 2))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; I6 F13: a reply with each performative.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $reply (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48)) (local.get $ptr) (local.get $len))))

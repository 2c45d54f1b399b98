;; SPDX-License-Identifier: Apache-2.0
;; I3: `agent_alloc` is no handler either.
(module
  (import "caxton" "message_get" (func $message_get (param i32 i32 i32) (result i32)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $refused (mut i32) (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (if (i32.and
          (i32.eq (call $message_get (i32.const 1) (i32.const 256) (i32.const 64)) (i32.const -3))
          (i32.eq (call $reply (i32.const 1) (i32.const 256) (i32.const 0)) (i32.const -3)))
      (then (global.set $refused (i32.const 1))))
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.eqz (global.get $refused)) (then (return (i32.const 10))))
    (i32.const 0)))

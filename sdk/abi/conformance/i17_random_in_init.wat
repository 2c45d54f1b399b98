;; SPDX-License-Identifier: Apache-2.0
;; I17: initialization sees the same bytes and the same time in every instance.
(module
  (import "caxton" "random" (func $random (param i32 i32) (result i32)))
  (import "caxton" "now" (func $now (result i64)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  ;; the `len` bytes at 256 as letters, at 512
  (func $hex (param $len i32)
    (local $i i32)
    (loop $more
      (i32.store8 (i32.add (i32.const 512) (i32.shl (local.get $i) (i32.const 1)))
        (i32.add (i32.const 97) (i32.shr_u (i32.load8_u (i32.add (i32.const 256) (local.get $i))) (i32.const 4))))
      (i32.store8 (i32.add (i32.const 513) (i32.shl (local.get $i) (i32.const 1)))
        (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.add (i32.const 256) (local.get $i))) (i32.const 15))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (local.get $len)))))
  (func (export "agent_init") (result i32)
    (i64.store (i32.const 272) (call $now))
    (call $random (i32.const 256) (i32.const 16)))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $hex (i32.const 24))
    (call $reply (i32.const 1) (i32.const 512) (i32.const 48))))

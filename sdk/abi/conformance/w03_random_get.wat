;; SPDX-License-Identifier: Apache-2.0
;; W3: deterministic, as `random`.
(module
  (import "wasi_snapshot_preview1" "random_get" (func $random_get
    (param i32 i32) (result i32)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
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
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $random_get (i32.const 256) (i32.const 32)) (i32.const 0))
    (call $hex (i32.const 32))
    (call $check (i32.const 11) (call $reply (i32.const 1) (i32.const 512) (i32.const 64)) (i32.const 0))
    (call $check (i32.const 12) (i32.eqz (call $random_get (i32.const 131071) (i32.const 2))) (i32.const 0))
    (global.get $failed)))

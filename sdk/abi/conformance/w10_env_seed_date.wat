;; SPDX-License-Identifier: Apache-2.0
;; W10 I15 I16: `env.seed` comes from the step's seed, `env.Date.now` is `now` in milliseconds.
(module
  (import "env" "seed" (func $seed (result f64)))
  (import "env" "Date.now" (func $date (result f64)))
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
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (f64.ne (call $date) (f64.const 1700000000000)) (then (return (i32.const 10))))
    (f64.store (i32.const 256) (call $seed))
    (call $hex (i32.const 8))
    (call $reply (i32.const 1) (i32.const 512) (i32.const 16))))

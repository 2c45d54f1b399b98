;; SPDX-License-Identifier: Apache-2.0
;; I15: the step's time, however often one asks.
(module
  (import "caxton" "now" (func $now (result i64)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $i i32)
    (i64.store (i32.const 256) (call $now))
    (loop $spin
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $spin (i32.lt_u (local.get $i) (i32.const 1000000))))
    (if (i64.ne (i64.load (i32.const 256)) (call $now)) (then (return (i32.const 10))))
    (if (i64.ne (call $now) (i64.const 1700000000000000000))
      (then (return (call $reply (i32.const 1) (i32.const 16) (i32.const 0)))))
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len))))

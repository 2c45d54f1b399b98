;; SPDX-License-Identifier: Apache-2.0
;; W2: both clocks are `now`.
(module
  (import "wasi_snapshot_preview1" "clock_time_get" (func $clock_time_get
    (param i32 i64 i32) (result i32)))
  (import "caxton" "now" (func $now (result i64)))
  (memory (export "memory") 2)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 256)) (i32.const 0))
    (call $check (i32.const 11) (i64.eq (i64.load (i32.const 256)) (call $now)) (i32.const 1))
    (call $check (i32.const 12) (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 264)) (i32.const 0))
    (call $check (i32.const 13) (i64.eq (i64.load (i32.const 264)) (call $now)) (i32.const 1))
    ;; a bad pointer is an error, not a trap
    (call $check (i32.const 14) (i32.eqz (call $clock_time_get (i32.const 0) (i64.const 1) (i32.const 131070))) (i32.const 0))
    (global.get $failed)))

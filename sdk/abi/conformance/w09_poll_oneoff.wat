;; SPDX-License-Identifier: Apache-2.0
;; W9 I15: a sleep of 5 ms: the step's clock moves on by it, nobody waits.
(module
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll_oneoff
    (param i32 i32 i32 i32) (result i32)))
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
    (local $before i64)
    ;; a subscription of 48 bytes: user data, tag 0 (clock), clock 1, timeout, precision, flags 0 (relative)
    (i64.store (i32.const 256) (i64.const 4711))
    (i32.store8 (i32.const 264) (i32.const 0))
    (i32.store (i32.const 272) (i32.const 1))
    (i64.store (i32.const 280) (i64.const 5000000))
    (i64.store (i32.const 288) (i64.const 0))
    (i32.store16 (i32.const 296) (i32.const 0))
    (local.set $before (call $now))
    (memory.fill (i32.const 512) (i32.const 0xff) (i32.const 32))
    (call $check (i32.const 10)
      (call $poll_oneoff (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 1024)) (i32.const 0))
    (call $check (i32.const 11) (i32.load (i32.const 1024)) (i32.const 1))
    (call $check (i32.const 12) (i64.eq (i64.load (i32.const 512)) (i64.const 4711)) (i32.const 1))
    (call $check (i32.const 13) (i32.load16_u (i32.const 520)) (i32.const 0))  ;; no error
    (call $check (i32.const 14) (i32.load8_u (i32.const 522)) (i32.const 0))   ;; a clock event
    (call $check (i32.const 15)
      (i64.eq (call $now) (i64.add (local.get $before) (i64.const 5000000))) (i32.const 1))
    ;; the same with an absolute time, one hour on: flags 1
    (i64.store (i32.const 280) (i64.add (local.get $before) (i64.const 3600000000000)))
    (i32.store16 (i32.const 296) (i32.const 1))
    (call $check (i32.const 16)
      (call $poll_oneoff (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 1024)) (i32.const 0))
    (call $check (i32.const 17) (call $clock_time_get (i32.const 1) (i64.const 1) (i32.const 768)) (i32.const 0))
    (call $check (i32.const 18)
      (i64.eq (i64.load (i32.const 768)) (i64.add (local.get $before) (i64.const 3600000000000))) (i32.const 1))
    ;; an absolute time that has passed leaves the clock alone
    (i64.store (i32.const 280) (local.get $before))
    (call $check (i32.const 19)
      (call $poll_oneoff (i32.const 256) (i32.const 512) (i32.const 1) (i32.const 1024)) (i32.const 0))
    (call $check (i32.const 20)
      (i64.eq (call $now) (i64.add (local.get $before) (i64.const 3600000000000))) (i32.const 1))
    ;; a bad pointer is an error, not a trap
    (call $check (i32.const 21)
      (i32.eqz (call $poll_oneoff (i32.const 131070) (i32.const 512) (i32.const 1) (i32.const 1024))) (i32.const 0))
    (global.get $failed)))

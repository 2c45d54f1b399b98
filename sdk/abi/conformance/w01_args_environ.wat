;; SPDX-License-Identifier: Apache-2.0
;; W1: no arguments, no environment.
(module
  (import "wasi_snapshot_preview1" "args_sizes_get" (func $args_sizes_get
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "args_get" (func $args_get
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $environ_sizes_get
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ_get
    (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i64.store (i32.const 256) (i64.const -1))
    (call $check (i32.const 10) (call $args_sizes_get (i32.const 256) (i32.const 260)) (i32.const 0))
    (call $check (i32.const 11) (i64.eqz (i64.load (i32.const 256))) (i32.const 1))
    (call $check (i32.const 12) (call $args_get (i32.const 512) (i32.const 768)) (i32.const 0))
    (i64.store (i32.const 256) (i64.const -1))
    (call $check (i32.const 13) (call $environ_sizes_get (i32.const 256) (i32.const 260)) (i32.const 0))
    (call $check (i32.const 14) (i64.eqz (i64.load (i32.const 256))) (i32.const 1))
    (call $check (i32.const 15) (call $environ_get (i32.const 512) (i32.const 768)) (i32.const 0))
    (global.get $failed)))

;; SPDX-License-Identifier: Apache-2.0
;; W6: no preopened folder: wasi-libc ends its search at EBADF.
(module
  (import "wasi_snapshot_preview1" "fd_prestat_get" (func $fd_prestat_get
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_prestat_dir_name" (func $fd_prestat_dir_name
    (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $fd_prestat_get (i32.const 3) (i32.const 256)) (i32.const 8))
    (call $check (i32.const 11) (call $fd_prestat_dir_name (i32.const 3) (i32.const 256) (i32.const 16)) (i32.const 8))
    (global.get $failed)))

;; SPDX-License-Identifier: Apache-2.0
;; W5: there is nothing to read, close, seek or open.
(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read
    (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close
    (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_seek" (func $fd_seek
    (param i32 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $fd_fdstat_get
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $fd_fdstat_set_flags
    (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open
    (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "file")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func $is_stub (param $number i32) (param $error i32)
    (call $check (local.get $number)
      (i32.or (i32.eq (local.get $error) (i32.const 8)) (i32.eq (local.get $error) (i32.const 52)))
      (i32.const 1)))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $is_stub (i32.const 10) (call $fd_read (i32.const 9) (i32.const 64) (i32.const 0) (i32.const 256)))
    (call $is_stub (i32.const 11) (call $fd_close (i32.const 9)))
    (call $is_stub (i32.const 12) (call $fd_seek (i32.const 9) (i64.const 0) (i32.const 0) (i32.const 256)))
    (call $is_stub (i32.const 13) (call $fd_fdstat_get (i32.const 9) (i32.const 256)))
    (call $is_stub (i32.const 14) (call $fd_fdstat_set_flags (i32.const 9) (i32.const 0)))
    (call $is_stub (i32.const 15) (call $path_open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4)
      (i32.const 0) (i64.const 0) (i64.const 0) (i32.const 0) (i32.const 256)))
    (global.get $failed)))

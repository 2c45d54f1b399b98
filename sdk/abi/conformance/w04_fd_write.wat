;; SPDX-License-Identifier: Apache-2.0
;; W4: standard output and standard error are the log; there are no others.
(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write
    (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "to stdout\n")
  (data (i32.const 32) "to stderr\n")
  (data (i32.const 64) "\10\00\00\00\03\00\00\00\13\00\00\00\07\00\00\00")
  (data (i32.const 80) "\20\00\00\00\0a\00\00\00")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    ;; two pieces, "to " and "stdout\n"
    (call $check (i32.const 10) (call $fd_write (i32.const 1) (i32.const 64) (i32.const 2) (i32.const 256)) (i32.const 0))
    (call $check (i32.const 11) (i32.load (i32.const 256)) (i32.const 10))
    (call $check (i32.const 12) (call $fd_write (i32.const 2) (i32.const 80) (i32.const 1) (i32.const 256)) (i32.const 0))
    (call $check (i32.const 13) (i32.load (i32.const 256)) (i32.const 10))
    (call $check (i32.const 14) (call $fd_write (i32.const 7) (i32.const 80) (i32.const 1) (i32.const 256)) (i32.const 8))
    ;; bad pointers are errors, not traps: the vector, and what it points to
    (call $check (i32.const 15)
      (i32.eqz (call $fd_write (i32.const 1) (i32.const 131070) (i32.const 1) (i32.const 256))) (i32.const 0))
    (i64.store (i32.const 64) (i64.const -1))
    (call $check (i32.const 16)
      (i32.eqz (call $fd_write (i32.const 1) (i32.const 64) (i32.const 1) (i32.const 256))) (i32.const 0))
    (call $check (i32.const 17)
      (i32.eqz (call $fd_write (i32.const 1) (i32.const 64) (i32.const -1) (i32.const 256))) (i32.const 0))
    (global.get $failed)))

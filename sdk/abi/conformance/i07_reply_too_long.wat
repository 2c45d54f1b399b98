;; SPDX-License-Identifier: Apache-2.0
;; I7: a reply one byte above `max_message` is -4; one of exactly that length is fine.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 4)
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $reply (i32.const 1) (i32.const 0) (i32.const 65537)) (i32.const -4))
    (call $check (i32.const 11) (call $reply (i32.const 1) (i32.const 0) (i32.const 65536)) (i32.const 0))
    (global.get $failed)))

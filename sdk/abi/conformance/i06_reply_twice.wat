;; SPDX-License-Identifier: Apache-2.0
;; I6 I1: the second reply is -6, and the first one stands.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "firstsecond")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10) (call $reply (i32.const 1) (i32.const 16) (i32.const 5)) (i32.const 0))
    (call $check (i32.const 11) (call $reply (i32.const 1) (i32.const 21) (i32.const 6)) (i32.const -6))
    (global.get $failed)))

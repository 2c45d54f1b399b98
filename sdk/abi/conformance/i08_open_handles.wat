;; SPDX-License-Identifier: Apache-2.0
;; I8 I1: 64 messages may be open, not 65.
(module
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $message_send (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "other")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $i i32) (local $m i32)
    (loop $more
      (local.set $m (call $message_new (i32.const 16) (i32.const 5) (i32.const 1)))
      (call $check (i32.const 10) (i32.lt_s (local.get $m) (i32.const 0)) (i32.const 0))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 64))))
    (call $check (i32.const 11) (call $message_new (i32.const 16) (i32.const 5) (i32.const 1)) (i32.const -4))
    ;; the step goes on, and what was built can be sent
    (call $check (i32.const 12) (call $message_send (local.get $m)) (i32.const 0))
    (global.get $failed)))

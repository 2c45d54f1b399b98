;; SPDX-License-Identifier: Apache-2.0
;; I13: 40 messages of 64 KiB are more than 2 MiB: a call answers -4 before all are sent, and the step goes on.
(module
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_set" (func $message_set (param i32 i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $message_send (param i32) (result i32)))
  (memory (export "memory") 4)
  (data (i32.const 16) "other")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $i i32) (local $m i32) (local $result i32)
    (loop $more
      (local.set $m (call $message_new (i32.const 16) (i32.const 5) (i32.const 1)))
      (if (i32.lt_s (local.get $m) (i32.const 0)) (then (return (i32.const 10))))
      (local.set $result (call $message_set (local.get $m) (i32.const 9) (i32.const 65536) (i32.const 65536)))
      (if (i32.eqz (local.get $result))
        (then (local.set $result (call $message_send (local.get $m)))))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.and (i32.eqz (local.get $result)) (i32.lt_u (local.get $i) (i32.const 40)))))
    (if (i32.ne (local.get $result) (i32.const -4)) (then (return (i32.const 11))))
    (i32.const 0)))

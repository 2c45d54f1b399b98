;; SPDX-License-Identifier: Apache-2.0
;; As many messages as a step may send.
(module
  (import "caxton" "message_new" (func $new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $send (param i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "sink")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $left i32)
    (local.set $left (i32.const 64))
    (loop $more
      (if (call $send (call $new (i32.const 16) (i32.const 4) (i32.const 1))) (then (unreachable)))
      (br_if $more (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))
    (i32.const 0)))

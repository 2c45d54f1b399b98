;; SPDX-License-Identifier: Apache-2.0
;; The sample makes it begin messages for ever, and send none.
(module
  (import "caxton" "message_new" (func $new (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "sink")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.eq (local.get $len) (i32.const 5)) (then
      (loop $more
        (if (i32.lt_s (call $new (i32.const 16) (i32.const 4) (i32.const 1)) (i32.const 0)) (then (return (i32.const 65))))
        (br $more))))
    (i32.const 0)))

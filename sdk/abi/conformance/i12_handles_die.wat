;; SPDX-License-Identifier: Apache-2.0
;; I12 L4: a handle of an earlier step is unknown, also in an instance that is reused; what was not sent is forgotten.
(module
  (import "caxton" "message_new" (func $message_new (param i32 i32 i32) (result i32)))
  (import "caxton" "message_send" (func $message_send (param i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "other")
  (global $old (mut i32) (i32.const -1))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.ge_s (global.get $old) (i32.const 0))
      (then (if (i32.ne (call $message_send (global.get $old)) (i32.const -5)) (then (return (i32.const 10))))))
    (global.set $old (call $message_new (i32.const 16) (i32.const 5) (i32.const 1)))
    (i32.lt_s (global.get $old) (i32.const 0))  ;; 0
  )
  (@custom "caxton.manifest" "{\"name\":\"conformance\",\"instance\":\"reused\"}"))

;; SPDX-License-Identifier: Apache-2.0
;; agent_init tries to send, is refused, and answers with what the host said.
(module
  (import "caxton" "message_new" (func $new (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "sink")
  (func (export "agent_init") (result i32)
    (call $new (i32.const 16) (i32.const 4) (i32.const 1)))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

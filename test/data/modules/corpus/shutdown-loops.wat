;; SPDX-License-Identifier: Apache-2.0
;; agent_shutdown never ends.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "agent_shutdown")
    (loop $again (br $again)))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len))))

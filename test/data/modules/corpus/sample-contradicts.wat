;; SPDX-License-Identifier: Apache-2.0
;; Its own sample is nothing that it says it takes.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len))))

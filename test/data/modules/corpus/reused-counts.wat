;; SPDX-License-Identifier: Apache-2.0
;; Its answer begins with how many messages its instance has handled.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (global $count (mut i32) (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store8 (local.get $ptr) (global.get $count))
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len))))

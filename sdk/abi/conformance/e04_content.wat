;; SPDX-License-Identifier: Apache-2.0
;; E4: the content arrives as it is, at the place that `agent_alloc` named, also an odd one.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4097))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.ne (local.get $ptr) (i32.const 4097)) (then (return (i32.const 10))))
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len))))

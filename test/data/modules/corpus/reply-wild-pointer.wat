;; SPDX-License-Identifier: Apache-2.0
;; A reply beyond memory is refused with -2, which it hands on.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.eq (local.get $len) (i32.const 5)) (then
      (return (i32.sub (i32.const 100) (call $reply (i32.const 1) (i32.const 0x7fffffff) (i32.const 64))))))
    (i32.const 0)))

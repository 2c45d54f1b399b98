;; SPDX-License-Identifier: Apache-2.0
;; L9: a recursion without end.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func $down (param $depth i32) (result i32)
    (i32.add (i32.const 1) (call $down (i32.add (local.get $depth) (i32.const 1)))))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $down (i32.const 0))))

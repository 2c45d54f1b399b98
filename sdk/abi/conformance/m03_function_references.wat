;; SPDX-License-Identifier: Apache-2.0
;; M3: typed function references.
(module
  (type $callee (func (result i32)))
  (memory (export "memory") 2)
  (elem declare func $zero)
  (func $zero (type $callee)
    (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call_ref $callee (ref.func $zero))))

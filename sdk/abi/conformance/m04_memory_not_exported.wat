;; SPDX-License-Identifier: Apache-2.0
;; M4 M5: a memory that is not exported.
(module
  (memory 1)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; agent_alloc of 64 bits.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param i64) (result i64)
    (i64.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

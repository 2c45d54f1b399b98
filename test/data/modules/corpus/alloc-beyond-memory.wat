;; SPDX-License-Identifier: Apache-2.0
;; agent_alloc points beyond memory.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 0x7fffffff))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

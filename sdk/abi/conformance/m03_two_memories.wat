;; SPDX-License-Identifier: Apache-2.0
;; M3: two memories.
(module
  (memory (export "memory") 1)
  (memory $second 1)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

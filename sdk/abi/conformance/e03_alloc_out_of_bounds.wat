;; SPDX-License-Identifier: Apache-2.0
;; E3: `agent_alloc` answers a range that begins in memory and ends beyond it.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 131071))  ;; the last byte
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

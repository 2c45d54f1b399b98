;; SPDX-License-Identifier: Apache-2.0
;; M5: `agent_alloc` is missing.
(module
  (memory (export "memory") 2)
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; M5: `handle_message` is missing.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096)))

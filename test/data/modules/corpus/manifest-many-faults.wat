;; SPDX-License-Identifier: Apache-2.0
;; Many faults at once: none keeps another back.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

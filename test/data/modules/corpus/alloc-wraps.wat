;; SPDX-License-Identifier: Apache-2.0
;; agent_alloc points to the last bytes that there can be, so that the end wraps.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const -4))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; M6: `get_capabilities` answers an i32.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0))
  (func (export "get_capabilities") (result i32)
    (i32.const 0)))

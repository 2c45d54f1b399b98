;; SPDX-License-Identifier: Apache-2.0
;; E9: `agent_init` answers 1.
(module
  (memory (export "memory") 2)
  (func (export "agent_init") (result i32)
    (i32.const 1))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

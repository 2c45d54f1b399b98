;; SPDX-License-Identifier: Apache-2.0
;; E9 L7: `agent_init` never ends.
(module
  (memory (export "memory") 2)
  (func (export "agent_init") (result i32)
    (loop $forever (br $forever))
    (unreachable))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; Elements that do not fit into their table.
(module
  (table 1 funcref)
  (memory (export "memory") 32)
  (func $f)
  (elem (i32.const 5) $f)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

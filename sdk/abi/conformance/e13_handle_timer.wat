;; SPDX-License-Identifier: Apache-2.0
;; E13: timers are refused by name.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0))
  (func (export "handle_timer") (param $id i64) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; E5 E6 E7: what `handle_message` answers decides the outcome.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48))  ;; the digit that the message holds
  ))

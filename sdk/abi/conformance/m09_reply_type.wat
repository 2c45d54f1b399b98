;; SPDX-License-Identifier: Apache-2.0
;; M9: `reply` imported without its performative.
(module
  (import "caxton" "reply" (func (param i32 i32) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

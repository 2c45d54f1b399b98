;; SPDX-License-Identifier: Apache-2.0
;; M8: an unknown import is refused though nothing calls it; all of them are named.
(module
  (import "env" "first_missing" (func))
  (import "env" "second_missing" (func))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

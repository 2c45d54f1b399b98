;; SPDX-License-Identifier: Apache-2.0
;; M7: a command module with the required exports: each call would start and end the program.
(module
  (memory (export "memory") 2)
  (func (export "_start"))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

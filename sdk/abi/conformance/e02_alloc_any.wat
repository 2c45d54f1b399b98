;; SPDX-License-Identifier: Apache-2.0
;; E2: ... and so is any other result, even one outside of memory.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (if (result i32) (local.get $size) (then (i32.const 4096)) (else (i32.const -1))))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local.get $len)  ;; 0
  ))

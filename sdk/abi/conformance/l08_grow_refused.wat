;; SPDX-License-Identifier: Apache-2.0
;; L8: `memory.grow` beyond the limit answers -1, and the step goes on.
(module
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.eq (memory.grow (i32.const 16)) (i32.const -1)) (then (return (i32.const 10))))   ;; 1 MiB fits
    (if (i32.ne (memory.grow (i32.const 1024)) (i32.const -1)) (then (return (i32.const 11)))) ;; 64 MiB does not
    (i32.const 0)))

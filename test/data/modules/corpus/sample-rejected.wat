;; SPDX-License-Identifier: Apache-2.0
;; A sample of its own that it rejects.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (i32.eq (local.get $len) (i32.const 5)) (then
      (return (i32.const 2))))
    (i32.const 0)))

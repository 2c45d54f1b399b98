;; SPDX-License-Identifier: Apache-2.0
;; M3: GC types.
(module
  (type $point (struct (field i32) (field i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; M6: exports of other names are ignored, whatever they are.
(module
  (memory (export "memory") 2)
  (global (export "__heap_base") i32 (i32.const 65536))
  (table (export "__indirect_function_table") 1 funcref)
  (func (export "helper") (param f64) (result f64)
    (local.get 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

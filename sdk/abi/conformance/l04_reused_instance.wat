;; SPDX-License-Identifier: Apache-2.0
;; L4: a manifest that asks for reused instances; whether memory persists is not promised.
(module
  (memory (export "memory") 2)
  (global $count (mut i32) (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.lt_s (global.get $count) (i32.const 1))  ;; 0
  )
  (@custom "caxton.manifest" "{\"name\":\"conformance\",\"instance\":\"reused\"}"))

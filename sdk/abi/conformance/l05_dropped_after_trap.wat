;; SPDX-License-Identifier: Apache-2.0
;; L5 L4: also a reused instance is dropped after a trap and after a failed step.
(module
  (memory (export "memory") 2)
  (global $broken (mut i32) (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (if (global.get $broken) (then (return (i32.const 10))))  ;; an instance that failed before
    (if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 116))  ;; 't'
      (then (global.set $broken (i32.const 1)) (unreachable)))
    (if (i32.eq (i32.load8_u (local.get $ptr)) (i32.const 102))  ;; 'f'
      (then (global.set $broken (i32.const 1)) (return (i32.const 1))))
    (i32.const 0))
  (@custom "caxton.manifest" "{\"name\":\"conformance\",\"instance\":\"reused\"}"))

;; SPDX-License-Identifier: Apache-2.0
;; M2: everything beyond WebAssembly 1.0 that is accepted.
(module
  (memory (export "memory") 2)
  (global $counter (export "counter") (mut i32) (i32.const 0))
  (table $refs 2 funcref)
  (func $pair (result i32 i32)
    (i32.const 40) (i32.const 2))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (memory.fill (i32.const 8192) (i32.const 0xff) (i32.const 16))
    (memory.copy (i32.const 8208) (i32.const 8192) (i32.const 16))
    (table.set $refs (i32.const 0) (ref.null func))
    (drop (i32.trunc_sat_f32_s (f32.const nan)))
    (drop (i32x4.extract_lane 0 (i32x4.add (v128.load (i32.const 8192)) (v128.load (i32.const 8208)))))
    (global.set $counter (i32.add (call $pair)))
    ;; -1 as a signed byte, plus 1, plus 42 minus 42
    (i32.add (i32.extend8_s (i32.load8_u (i32.const 8208))) (i32.sub (global.get $counter) (i32.const 41)))))

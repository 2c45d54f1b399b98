;; SPDX-License-Identifier: Apache-2.0
;; L9: every kind of trap; the message says which.
(module
  (memory (export "memory") 2)
  (type $none (func))
  (type $one (func (param i32)))
  (table 3 funcref)
  (elem (i32.const 0) $nothing)
  (func $nothing)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (block $unreachable (block $divide (block $overflow (block $load (block $store (block $element
    (block $null (block $type (block $convert (block $fill
      (br_table $unreachable $divide $overflow $load $store $element $null $type $convert $fill
        (i32.sub (i32.load8_u (local.get $ptr)) (i32.const 48)))
    ) (memory.fill (i32.const 131071) (i32.const 0) (i32.const 2))
    ) (drop (i32.trunc_f64_s (f64.const nan)))
    ) (call_indirect (type $one) (i32.const 7) (i32.const 0))
    ) (call_indirect (type $none) (i32.const 1))
    ) (call_indirect (type $none) (i32.const 99))
    ) (i32.store (i32.const -4) (i32.const 0))
    ) (drop (i32.load (i32.const 131069)))
    ) (drop (i32.div_s (i32.const 0x80000000) (i32.const -1)))
    ) (drop (i32.rem_u (i32.const 1) (i32.const 0)))
    ) (unreachable)))

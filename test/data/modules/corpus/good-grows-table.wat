;; SPDX-License-Identifier: Apache-2.0
;; Ten bytes ("grow-table") make its table grow by a thousand elements until it may not; the answer is
;; how often: "100". No sample of validation has as many.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (table $t 0 funcref)
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func $digit (param $at i32) (param $value i32)
    (i32.store8 (local.get $at)
      (i32.add (i32.const 48) (i32.rem_u (local.get $value) (i32.const 10)))))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $times i32)
    (if (i32.ne (local.get $len) (i32.const 10)) (then
      (return (i32.const 0))))
    (block $refused
      (loop $more
        (br_if $refused
          (i32.eq (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1)))
        (local.set $times (i32.add (local.get $times) (i32.const 1)))
        (br $more)))
    (call $digit (i32.const 16) (i32.div_u (local.get $times) (i32.const 100)))
    (call $digit (i32.const 17) (i32.div_u (local.get $times) (i32.const 10)))
    (call $digit (i32.const 18) (local.get $times))
    (call $reply (i32.const 1) (i32.const 16) (i32.const 3))))

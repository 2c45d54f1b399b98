;; SPDX-License-Identifier: Apache-2.0
;; I19: 100 KiB of log: the step goes on, the excess is counted.
(module
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $i i32)
    (memory.fill (i32.const 8192) (i32.const 97) (i32.const 1024))
    (loop $more
      (call $log (i32.const 2) (i32.const 8192) (i32.const 1024))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br_if $more (i32.lt_u (local.get $i) (i32.const 100))))
    (i32.const 0)))

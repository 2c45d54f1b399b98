;; SPDX-License-Identifier: Apache-2.0
;; I18 L6: what a failed step logged is not lost.
(module
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "before the end")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $log (i32.const 0) (i32.const 16) (i32.const 14))
    (unreachable)))

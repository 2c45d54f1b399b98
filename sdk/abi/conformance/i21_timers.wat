;; SPDX-License-Identifier: Apache-2.0
;; I21: timers are refused by name.
(module
  (import "caxton" "timer_set" (func $timer_set (param i64 i64) (result i32)))
  (import "caxton" "timer_cancel" (func $timer_cancel (param i64) (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

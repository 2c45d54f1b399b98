;; SPDX-License-Identifier: Apache-2.0
;; W7: `sched_yield` succeeds.
(module
  (import "wasi_snapshot_preview1" "sched_yield" (func $sched_yield
    (result i32)))
  (memory (export "memory") 2)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $sched_yield)))

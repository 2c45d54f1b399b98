;; SPDX-License-Identifier: Apache-2.0
;; W10: AssemblyScript's abort: a trap that shows the message, which is UTF-16 with its length in bytes before it.
(module
  (import "env" "abort" (func $abort (param i32 i32 i32 i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "\10\00\00\00n\00o\00 \00b\00r\00e\00a\00d\00")
  (data (i32.const 64) "\08\00\00\00a\00.\00t\00s\00")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $abort (i32.const 20) (i32.const 68) (i32.const 12) (i32.const 3))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; I14: a setting.
(module
  (import "caxton" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "greeting")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $reply (i32.const 1) (i32.const 256)
      (call $config_get (i32.const 16) (i32.const 8) (i32.const 256) (i32.const 64)))))

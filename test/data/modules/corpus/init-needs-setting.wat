;; SPDX-License-Identifier: Apache-2.0
;; agent_init fails unless the agent has the setting "mode".
(module
  (import "caxton" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "mode")
  (func (export "agent_init") (result i32)
    (i32.lt_s (call $config_get (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 64))
              (i32.const 0)))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

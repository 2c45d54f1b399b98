;; SPDX-License-Identifier: Apache-2.0
;; get_capabilities answers with anything.
(module
  (memory (export "memory") 32)
  (data (i32.const 8) "anything")
  (func (export "get_capabilities") (result i64)
    (i64.const 0x0000000800000008))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

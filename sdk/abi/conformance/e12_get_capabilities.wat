;; SPDX-License-Identifier: Apache-2.0
;; E12: the manifest by `get_capabilities`, where no custom section holds it.
(module
  (memory (export "memory") 2)
  (data (i32.const 16) "{\"name\":\"conformance\",\"abi\":1}")
  (func (export "get_capabilities") (result i64)
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const 30)))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

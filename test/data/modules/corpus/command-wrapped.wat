;; SPDX-License-Identifier: Apache-2.0
;; The linker wrapped the handler in the start and end of a program.
(module
  (memory (export "memory") 32)
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func $handle_message.command_export (export "handle_message") (param i32 i32) (result i32)
    (i32.const 0)))

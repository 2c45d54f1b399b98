;; SPDX-License-Identifier: Apache-2.0
;; agent_init takes memory until there is none.
(module
  (memory (export "memory") 32)
  (func (export "agent_init") (result i32)
    (loop $more
      (br_if $more (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
    (unreachable))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; L3: nothing leaks from one message to the next: neither globals nor memory.
(module
  (memory (export "memory") 2)
  (global $count (mut i32) (i32.const 0))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (global.set $count (i32.add (global.get $count) (i32.const 1)))
    (i32.store (i32.const 64) (i32.add (i32.load (i32.const 64)) (i32.const 1)))
    (if (i32.ne (global.get $count) (i32.const 1)) (then (return (i32.const 10))))
    (if (i32.ne (i32.load (i32.const 64)) (i32.const 1)) (then (return (i32.const 11))))
    (if (i32.ne (memory.grow (i32.const 1)) (i32.const 2)) (then (return (i32.const 12))))
    (i32.const 0)))

;; SPDX-License-Identifier: Apache-2.0
;; Five bytes take 600 million rounds, more fuel than a sample has where no deadline is known, and
;; about half a second; then they are answered.
(module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (memory (export "memory") 32)
  (data (i32.const 16) "done")
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 65536))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $rounds i32)
    (if (i32.ne (local.get $len) (i32.const 5)) (then
      (return (i32.const 0))))
    (local.set $rounds (i32.const 600000000))
    (loop $more
      (br_if $more
        (local.tee $rounds (i32.sub (local.get $rounds) (i32.const 1)))))
    (call $reply (i32.const 1) (i32.const 16) (i32.const 4))))

;; SPDX-License-Identifier: Apache-2.0
;; I5: a header; an empty one is there; names are compared byte by byte.
(module
  (import "caxton" "message_header_get" (func $message_header_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "x-tint")
  (data (i32.const 32) "X-Tint")
  (data (i32.const 48) "x-empty")
  (global $failed (mut i32) (i32.const 0))
  (func $check (param $number i32) (param $got i32) (param $want i32)
    (if (i32.and (i32.eqz (global.get $failed)) (i32.ne (local.get $got) (local.get $want)))
      (then (global.set $failed (local.get $number)))))
  (func (export "agent_alloc") (param $size i32) (result i32)
    (i32.const 4096))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (call $check (i32.const 10)
      (call $message_header_get (i32.const 16) (i32.const 6) (i32.const 256) (i32.const 64)) (i32.const 4))
    (call $check (i32.const 11) (i32.load (i32.const 256)) (i32.const 0x65756c62))  ;; "blue"
    (call $check (i32.const 12)
      (call $message_header_get (i32.const 32) (i32.const 6) (i32.const 256) (i32.const 64)) (i32.const -1))
    (call $check (i32.const 13)
      (call $message_header_get (i32.const 48) (i32.const 7) (i32.const 256) (i32.const 64)) (i32.const 0))
    (call $check (i32.const 14)  ;; a prefix is another name
      (call $message_header_get (i32.const 16) (i32.const 5) (i32.const 256) (i32.const 64)) (i32.const -1))
    (global.get $failed)))

// SPDX-License-Identifier: Apache-2.0
//
// One guest that does as its message says, and what the tests of the worker need to run it: the
// first byte is a command: e: echo the content; l: loop for ever; t: trap; m: take all memory, then
// trap; s: overflow the stack; b: reply with one MiB; f: fail.
#pragma once

#include <string>
#include <string_view>

#include "caxton/ipc/frames.h"
#include "caxton/model/envelope.h"

namespace caxton::worker {

inline constexpr std::string_view kObedientWat = R"((module
  (import "caxton" "reply" (func $reply (param i32 i32 i32) (result i32)))
  (import "caxton" "log" (func $log (param i32 i32 i32)))
  (import "caxton" "config_get" (func $config_get (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 20)
  (data (i32.const 16) "started")
  (data (i32.const 32) "greeting")
  (func $again (call $again))
  (func (export "agent_init") (result i32)
    (call $log (i32.const 2) (i32.const 16) (i32.const 7))
    (i32.const 0))
  (func (export "health_check") (result i32)
    (i32.ne (call $config_get (i32.const 32) (i32.const 8) (i32.const 64) (i32.const 64))
            (i32.const 5)))
  (func (export "agent_alloc") (param i32) (result i32) (i32.const 131072))
  (func (export "handle_message") (param $ptr i32) (param $len i32) (result i32)
    (local $what i32)
    (local.set $what (i32.load8_u (local.get $ptr)))
    (if (i32.eq (local.get $what) (i32.const 108)) (then (loop $l (br $l))))
    (if (i32.eq (local.get $what) (i32.const 116)) (then (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 109)) (then
      (loop $g (br_if $g (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))
      (unreachable)))
    (if (i32.eq (local.get $what) (i32.const 115)) (then (call $again)))
    (if (i32.eq (local.get $what) (i32.const 102)) (then (return (i32.const 1))))
    (if (i32.eq (local.get $what) (i32.const 98)) (then
      (return (call $reply (i32.const 1) (i32.const 0) (i32.const 1048576)))))
    (call $reply (i32.const 1) (local.get $ptr) (local.get $len)))))";

inline ipc::Configure ObedientConfigure() {
  ipc::Configure configure;
  configure.agent = "obedient";
  configure.revision = "obedient@1";
  configure.limits.memory_bytes = 8 << 20;
  configure.settings = {{"greeting", "hello"}};
  configure.pool_size = 2;
  configure.init_deadline_ns = 500'000'000;
  return configure;
}

inline std::string EnvelopeBytes(std::string_view content) {
  Envelope envelope;
  envelope.id = "m-1";
  envelope.sender = "client:test";
  envelope.receiver = "obedient";
  envelope.content = std::string(content);
  std::string bytes;
  EncodeEnvelope(envelope, &bytes);
  return bytes;
}

}  // namespace caxton::worker

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A module that passes validation and misbehaves afterwards meets the limit that is there for it.

Beside these: the messages an agent takes (basics_test, messages_test), what its worker does when it
hangs or dies (restart_test), and the limits inside of a step, in src/wasm/instance_test.cc and in
sdk/abi/conformance (fuel, handles, fields, random bytes).
"""
import time

import corpus
import harness
from harness import FAILED, example, module

DEADLINE_SECONDS = 0.5
MEMORY = 8 << 20
LIMITS = "resources: { deadline: 500ms, memory: 8Mi }\ndelivery: { max_attempts: 1 }\n"
MAX_SENDS = 64                # kMaxSendsPerStep, kMaxOpenHandles
MAX_OUTPUT = 2 << 20          # kMaxStepOutputBytes
MAX_LOG_BYTES = 16 << 10      # kMaxLogBytesPerStep
MAX_TABLE = 100_000           # kMaxTableElements


class RuntimeLimits(harness.CaxtonTest):
    def setUp(self):
        super().setUp()
        self.server()
        self.deploy_from(LIMITS, module("misbehave"), "naughty")
        self.deploy(example("greeter-1"), "greeter")

    def well(self):
        """Its neighbour is served, and so is the next message of its own."""
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.request("naughty", "well"), "ok")
        self.assert_adds_up()

    def fails(self, what, *says):
        """The message dies, and its dead letter says of which limit."""
        before = {letter["messageId"] for letter in self.letters()}
        result = self.run_cli("message", "request", "naughty", "--data", what)
        self.assertEqual(result.code, FAILED, str(result))
        self.assertIn("DEAD_LETTERED", result.err)
        new = [letter for letter in self.letters() if letter["messageId"] not in before]
        self.assertEqual(len(new), 1)
        shown = self.cli_json("dlq", "show", new[0]["messageId"])["deadLetter"]
        for part in says:
            self.assertIn(part, shown["attempts"][-1]["detail"])
        self.well()

    def letters(self):
        return self.cli_json("dlq", "list").get("deadLetters", [])

    def received(self, agent):
        return int(self.agent(agent)["messages"]["completed"])

    def test_memory(self):
        self.fails("bomb", "all of its memory in use", f"of {MEMORY} bytes")

    def test_table(self):
        self.deploy_from(LIMITS, corpus.FOLDER / "good-grows-table.wasm", "grower")
        for _ in range(2):  # the next instance has the table it was built with
            self.assertEqual(self.request("grower", "grow-table"), f"{MAX_TABLE // 1000:03}")
        self.well()

    def test_stack(self):
        self.fails("recurse-on-the-stack", "call stack exhausted")

    def test_stack_in_memory(self):
        self.fails("recurse", "out of bounds")

    def test_time(self):
        for what in ("loop", "loop-of-calls"):
            started = time.monotonic()
            self.fails(what, "past its deadline")
            self.assertGreaterEqual(time.monotonic() - started, DEADLINE_SECONDS)

    def test_messages_of_a_step(self):
        self.deploy(example("echo"), "sink")
        self.assertEqual(self.request("naughty", "spam"), f"{MAX_SENDS:03}")
        harness.wait_until(lambda: self.received("sink") == MAX_SENDS, "all that were let through")
        self.assertEqual(self.request("naughty", "open"), f"{MAX_SENDS:03}")
        self.wait_idle()
        self.assertEqual(self.received("sink"), MAX_SENDS)
        self.well()

    def test_bytes_of_a_step(self):
        self.deploy(example("echo"), "sink")
        # Four parts are the limit to the byte; the receivers' names count, too.
        self.assertEqual(self.request("naughty", "send-much"), f"{MAX_OUTPUT // (512 << 10) - 1:03}")
        harness.wait_until(lambda: self.received("sink") == 3, "what was let through")
        self.well()

    def test_a_reply(self):
        self.deploy(module("misbehave"), "roomy", "--memory", "64Mi")
        self.assertEqual(self.request("roomy", "big-reply"), "-4")
        self.well()

    def test_log(self):
        self.assertEqual(self.request("naughty", "log-spam"), "ok")

        def lines():
            return [line for line in self.cli("agent", "logs", "naughty", "--output", "json").events()
                    if "xxxx" in str(line)]

        harness.wait_until(lines, "what was logged")
        # 100 lines of a kilobyte each; what is kept is bounded.
        self.assertLessEqual(sum(len(str(line)) for line in lines()), MAX_LOG_BYTES * 3 // 2)
        self.well()

    def test_an_instance_that_is_kept(self):
        # It leaks until its memory is used up; then it is dropped, and the message that met the limit
        # is handled by a fresh one.
        self.deploy_from(LIMITS.replace("max_attempts: 1", "max_attempts: 3"),
                         module("misbehave-reused"), "leaky")
        for _ in range(20):
            self.assertEqual(self.request("leaky", "leak"), "ok")
        self.assertGreater(int(self.status()["messages"]["retries"]), 0)
        self.assertEqual(self.wait_idle()["deadLettered"], 0)
        self.well()


if __name__ == "__main__":
    harness.main()

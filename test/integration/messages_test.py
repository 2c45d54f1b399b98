#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The pipeline with its ledger, idempotency, dead letters, retries, back-pressure."""
import harness
from harness import FAILED, REFUSED, example, module


class Pipeline(harness.CaxtonTest):
    def test_what_was_acknowledged_arrives_once_and_in_order(self):
        self.server()
        self.deploy(example("ledger"), "ledger")
        self.deploy(example("intake"), "intake")
        ledger = self.folder / "ledger"
        self.cli("message", "tail", "ledger")  # from here on it is kept
        result = self.run_cli("load", "intake", "--send", "--count", "3000", "--keys", "50",
                              "--ledger", ledger, "--verify-tail", "ledger", "--output", "json")
        summary = self.assert_clean_load(result, at_least=3000)
        tail = summary["tail"]
        self.assertEqual((tail["handled"], tail["lost"], tail["doubled"], tail["outOfOrder"]),
                         (3000, 0, 0, 0))
        self.assertFalse(tail["gap"])
        counts = self.wait_idle()
        self.assertEqual(counts["accepted"], 6000)
        self.assertEqual(counts["completed"], 6000)
        # The last agent answers whoever waits.
        self.assertEqual(self.request("intake", "x"), "recorded x")

    def test_tail_resumes_at_a_cursor(self):
        self.server()
        self.deploy(example("echo"), "echo")
        self.cli("message", "tail", "echo")  # from here on it is kept
        for i in range(5):
            self.cli("message", "send", "echo", "--data", f"m{i}", "--key", "k")
        self.wait_idle()
        events = self.cli("message", "tail", "echo", "--from", "start", "--output", "json").events()
        events = [event for event in events if "envelope" in event]
        self.assertEqual([len(events), events[0]["outcome"]], [5, "handled"])
        rest = self.cli("message", "tail", "echo", "--from", events[2]["cursor"],
                        "--output", "json").events()
        self.assertEqual([e["envelope"]["content"] for e in rest if "envelope" in e],
                         [e["envelope"]["content"] for e in events[3:]])


class Idempotency(harness.CaxtonTest):
    def test_a_repeat_has_one_effect_and_one_answer(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        def ask(data, **options):
            return self.cli_json("message", "request", "greeter", "--data", data,
                                 "--idempotency-key", "k1", **options)
        first, second = ask("Ada"), ask("Ada")
        self.assertEqual(first["reply"], second["reply"])
        self.assertEqual(first["messageId"], second["messageId"])
        self.assertFalse(first["duplicate"])
        self.assertTrue(second["duplicate"])
        self.refused("message", "request", "greeter", "--data", "Eve", "--idempotency-key", "k1",
                     code=REFUSED)
        sent = [self.cli_json("message", "send", "greeter", "--data", "s", "--idempotency-key", "k2")
                for _ in range(2)]
        self.assertEqual(sent[0]["messageId"], sent[1]["messageId"])
        self.assertEqual([s["duplicate"] for s in sent], [False, True])
        self.assertEqual(self.wait_idle()["accepted"], 2)

    def test_a_repeat_after_a_crash_is_answered_from_the_journal(self):
        server = self.server()
        self.deploy(example("greeter-1"), "greeter")
        args = ("message", "request", "greeter", "--data", "Ada", "--idempotency-key", "k1")
        first = self.cli_json(*args)
        server.kill()
        server.start()
        second = self.cli_json(*args)
        self.assertEqual(first["reply"], second["reply"])
        self.assertTrue(second["duplicate"])
        self.refused("message", "request", "greeter", "--data", "Eve", "--idempotency-key", "k1",
                     code=REFUSED)
        self.assertEqual(self.wait_idle()["accepted"], 1)


class DeadLetters(harness.CaxtonTest):
    def naughty(self, attempts=2, *options):
        self.server()
        self.deploy_from(f"delivery: {{ max_attempts: {attempts} }}\n", module("misbehave"), "naughty",
                         *options)

    def letters(self):
        return self.cli_json("dlq", "list").get("deadLetters", [])

    def test_list_show_retry_drop(self):
        self.naughty()
        for i in range(3):
            self.cli("message", "send", "naughty", "--data", "trap", "--key", f"k{i}")
        letters = harness.wait_until(lambda: len(self.letters()) == 3 and self.letters(),
                                     "three dead letters")
        self.assertEqual(letters[0]["agent"], "naughty")
        shown = self.cli_json("dlq", "show", letters[0]["messageId"])["deadLetter"]
        self.assertEqual(len(shown["attempts"]), 2)
        self.assertEqual(shown["revision"], "naughty@1")
        detail = shown["attempts"][-1]["detail"] + shown["detail"]
        self.assertIn("unreachable", detail)
        self.assertIn("handle_message", detail)  # the backtrace
        text = self.cli("dlq", "show", letters[0]["messageId"]).out
        self.assertIn("unreachable", text)
        # A retry of what still traps comes back; dropped is on record.
        self.assertEqual(self.cli_json("dlq", "retry", letters[0]["messageId"])["retried"], "1")
        harness.wait_until(lambda: len(self.letters()) == 3, "it comes back")
        self.assertEqual(self.cli_json("dlq", "drop", letters[1]["messageId"])["dropped"], "1")
        self.assertEqual(len(self.letters()), 2)
        counts = self.wait_idle()
        self.assertEqual((counts["accepted"], counts["dropped"]), (3, 1))
        # With code that works, a retry completes them.
        self.cli("agent", "set", "naughty", "--set", "mode=well")
        self.assertEqual(self.cli_json("dlq", "retry", "--agent", "naughty")["retried"], "2")
        harness.wait_until(lambda: not self.letters(), "no dead letters")
        counts = self.wait_idle()
        self.assertEqual((counts["completed"], counts["dropped"], counts["deadLettered"]), (2, 1, 0))

    def test_a_request_that_dies_says_so(self):
        self.naughty()
        result = self.refused("message", "request", "naughty", "--data", "divide", code=FAILED, fix=False,
                              says="dead letter")
        self.assertIn("DEAD_LETTERED", result.err)
        self.cli("message", "request", "naughty", "--data", "reject", code=FAILED)
        reply = self.run_cli("message", "request", "naughty", "--data", "failure")
        self.assertEqual((reply.code, reply.out), (FAILED, "as you asked"))
        self.assert_adds_up()

    def test_what_a_failed_step_did_is_not_seen(self):
        self.naughty()
        self.deploy(example("echo"), "sink")
        self.cli("message", "request", "naughty", "--data", "half-done", code=FAILED)
        self.wait_idle()
        events = self.cli("message", "tail", "sink", "--from", "start", "--output", "json").out
        self.assertNotIn("envelope", events)

    def test_every_kind_of_misbehaviour_is_contained(self):
        self.naughty(1)
        self.deploy(example("greeter-1"), "greeter")
        for what in ("trap", "divide", "bounds", "recurse", "bomb", "abort", "exit", "code7", "loop"):
            result = self.run_cli("message", "request", "naughty", "--data", what)
            self.assertEqual(result.code, FAILED, f"{what}: {result}")
            self.assertIn("DEAD_LETTERED", result.err, what)
            self.assertEqual(self.request("greeter", what), f"Hello, {what}! (greeter 1)")
        self.assertEqual(self.request("naughty", "well"), "ok")
        self.assertEqual(self.wait_idle()["deadLettered"], 9)

    def test_retries_hold_their_key_and_no_other(self):
        self.naughty(1000)
        self.cli("message", "send", "naughty", "--data", "retry", "--key", "a")
        self.cli("message", "send", "naughty", "--data", "well", "--key", "a")
        for i in range(3):
            self.assertEqual(self.cli("message", "request", "naughty", "--data", "x", "--key",
                                      f"b{i}").out, "ok")
        harness.wait_until(lambda: int(self.status()["messages"]["retries"]) >= 2, "it retries")
        self.assertEqual(int(self.status()["messages"]["waiting"]), 2)
        self.cli("agent", "set", "naughty", "--set", "mode=well")
        counts = self.wait_idle()
        self.assertEqual(counts["completed"], 5)

    def test_an_expired_message_is_dropped_on_record(self):
        self.naughty(1000)
        self.cli("message", "send", "naughty", "--data", "retry", "--key", "a", "--deadline", "300ms")
        counts = self.wait_idle()
        self.assertEqual((counts["accepted"], counts["completed"]), (1, 0))
        self.assertEqual(counts["dropped"] + counts["deadLettered"], 1)


class BackPressure(harness.CaxtonTest):
    def test_refused_early_and_nothing_lost(self):
        self.server()
        self.deploy_from("delivery: { max_attempts: 1000 }\n", module("misbehave"), "naughty",
                         "--set", "mode=retry")
        ledger = self.folder / "ledger"
        load = self.load("naughty", "--send", "--count", "400", "--keys", "8", "--size", "256Ki",
                         "--outstanding", "100", "--ledger", ledger)
        harness.wait_until(lambda: int(self.agent("naughty")["messages"]["refused"]) > 0,
                           "messages are refused", 30, poll=0.1)
        self.assertGreater(
            self.metric("caxton_messages_refused_total", agent="naughty", version="1"), 0)
        big = self.folder / "big"
        big.write_bytes(b"x" * 1_000_000)
        result = self.refused("message", "send", "naughty", "--file", big, code=REFUSED, fix=False)
        self.assertIn("OVERLOADED", result.err)
        self.assertTrue(load.running())
        self.cli("agent", "set", "naughty", "--set", "mode=well")
        summary = self.assert_clean_load(load.wait(60), at_least=400)
        self.assertGreater(summary["refused"], 0)
        counts = self.wait_idle(60)
        self.assertEqual((counts["accepted"], counts["completed"]), (400, 400))


if __name__ == "__main__":
    harness.main()

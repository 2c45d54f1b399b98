#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Replays of an agent's last messages before any traffic, with real agents."""
import harness
from harness import DONE, REJECTED, example


class History(harness.CaxtonTest):
    def setUp(self):
        super().setUp()
        self.server()
        self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0", "--history", "50")
        self.assert_clean_load(
            self.load("greeter", "--request", "--count", "120", "--keys", "20").wait())

    def test_a_candidate_that_fails_on_them_gets_no_message(self):
        out = self.run_cli("deploy", example("greeter-2-trapping"), "--name", "greeter",
                           "--version", "2.0.0", "--history", "1000",
                           "--set", "trap_percent=30")
        self.assertEqual(out.code, REJECTED, out)
        self.assertIn("messages that greeter@1 handles fail on greeter@2", out.err)
        deployment = self.deployment("greeter")
        self.assertEqual(deployment["state"], "FAILED")
        self.assertEqual(deployment["reason"], "VALIDATION_HISTORY")
        history = deployment["history"]
        self.assertEqual(history["verdict"]["kind"], "FAILED")
        self.assertEqual(int(history["kept"]), 120)
        self.assertEqual(int(history["asked"]), 1000)
        self.assertGreater(int(history["failed"]), 0)
        self.assertEqual(history["failures"][0]["outcome"], "trapped")
        explained = self.cli_json("deployment", "explain", "greeter")
        self.assertTrue(explained["matchesRecorded"])
        self.assertEqual(int(explained["evidenceCount"]), 120)
        shown = self.run_cli("deployment", "show", "greeter")
        self.assertIn("Replayed before any traffic: 120 of 120 messages (1000 asked)", shown.out)
        self.assertFalse(self.workers("greeter@2"))
        self.assertEqual(self.request("greeter", "Bob"), "Hello, Bob! (greeter 1)")

    def test_a_good_one_passes_and_its_differences_are_shown(self):
        self.deploy(example("greeter-2"), "greeter", "--version", "2.0.0", "--history", "100")
        deployment = self.deployment("greeter")
        self.assertEqual(deployment["state"], "RUNNING")
        history = deployment["history"]
        self.assertEqual(history["verdict"]["kind"], "SUCCESSFUL")
        self.assertEqual(int(history["kept"]), 100)
        self.assertEqual(int(history["failed"]), 0)
        comparison = history["comparison"]
        # It greets with another number at the end: each reply differs, and only there.
        self.assertEqual(int(comparison["differing"]), 100)
        self.assertEqual([d["path"] for d in comparison["differences"]], ["reply/content"])
        sample = comparison["differences"][0]["samples"][0]
        self.assertTrue(sample["live"].endswith("(greeter 1)"), sample)
        self.assertTrue(sample["shadow"].endswith("(greeter 2)"), sample)
        self.assertEqual(self.request("greeter", "Bob"), "Hello, Bob! (greeter 2)")
        self.assert_adds_up()

    def test_fail_on_makes_differences_fail(self):
        out = self.run_cli("deploy", example("greeter-2"), "--name", "greeter", "--version", "2.0.0",
                           "--history", "10", "--fail-on", "differs>1%")
        self.assertEqual(out.code, REJECTED, out)
        self.assertIn("differs > 1%: 10 of 10 (100%) differ from greeter@1", out.err)

    def test_after_a_kill_there_is_nothing_to_replay_and_that_is_said(self):
        self.current.kill()
        self.current.start()
        out = self.run_cli("deploy", example("greeter-2-trapping"), "--name", "greeter",
                           "--version", "2.0.0", "--history", "100")
        self.assertEqual(out.code, DONE, out)
        history = self.deployment("greeter")["history"]
        self.assertEqual(history["verdict"]["kind"], "INCONCLUSIVE")
        self.assertIn("0 of 100 asked were there", history["verdict"]["reason"])

    def test_the_long_form(self):
        path = self.folder / "deployment.yaml"
        path.write_text("agent: greeter\nversion: 2.0.0\ndeployment:\n  strategy: canary\n"
                        "  history: 120\n  fail_on: [ error_rate > 50% ]\n"
                        "  stages: [ canary: { weight: 50%, for: 10m }, full: 100% ]\n")
        out = self.run_cli("deploy", example("greeter-2-trapping"), "-f", str(path), "--detach")
        self.assertEqual(out.code, DONE, out)
        harness.wait_until(lambda: self.deployment("greeter")["stageName"] == "canary 50%",
                           "the canary stage")
        self.assertEqual(self.deployment("greeter")["history"]["verdict"]["kind"], "SUCCESSFUL")


if __name__ == "__main__":
    harness.main()

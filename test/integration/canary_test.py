#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Canary deployments under load: good, trapping, slow; steering them."""
import harness
from harness import DONE, ROLLED_BACK, example

SCALE = ("--dev", "--time-scale", "60")  # minutes become seconds


class Canary(harness.CaxtonTest):
    def start_greeter(self):
        self.server(*SCALE)
        self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0")

    def explain(self, target, kind, at_least):
        """The verdict computed again from the journal is the one on record, in the same words."""
        explained = self.cli_json("deployment", "explain", target)
        again, recorded = explained["verdict"], explained["deployment"]["verdict"]
        self.assertEqual(again["kind"], kind, explained)
        self.assertEqual(recorded["kind"], kind, explained)
        self.assertEqual(again["reason"], recorded["reason"])
        self.assertTrue(again["reason"])
        self.assertTrue(explained["matchesRecorded"], explained)
        self.assertGreaterEqual(int(explained["evidenceCount"]), at_least)
        self.assertIn("it matches that verdict", self.cli("deployment", "explain", target).out)

    def test_good_is_promoted(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "300", "--keys", "500")
        out = self.deploy(example("greeter-2"), "greeter", "--version", "2.0.0", "--stages",
                          "25:1m,50:1m", "--rollback-on", "error_rate>1%,p99_latency>2s")
        self.assertIn("greeter@2 (2.0.0) is running", out.out)
        self.assert_clean_load(load.stop(), at_least=100)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        deployment = self.deployment("greeter")
        self.assertEqual(deployment["state"], "RUNNING")
        self.assertEqual(int(deployment["candidate"]["errors"]), 0)
        self.explain("greeter", "SUCCESSFUL", at_least=200)
        self.wait_idle()
        # In its own words, of the last stage; and the same from the journal alone.
        self.assertIn("first runs failed at 50%", deployment["verdict"]["reason"])
        self.current.kill()
        self.current.start()
        self.wait_deployment("greeter", lambda d: d["state"] == "RUNNING", "it serves")
        self.explain("greeter", "SUCCESSFUL", at_least=200)

    def test_trapping_is_rolled_back_by_itself(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "400", "--keys", "500")
        out = self.deploy(example("greeter-2-trapping"), "greeter", "--version", "2-trapping",
                          "--stages", "50:20m", "--rollback-on", "error_rate>1%", code=ROLLED_BACK)
        self.assertIn("rolled back", out.out + out.err)
        self.assertIn("greeter@1", out.out)
        self.assertRegex(out.err, r"error_rate > 1%|error_ratio > 1")  # whichever sees it first
        # A sender whose message failed on the canary gets stable's answer.
        self.assert_clean_load(load.stop(), at_least=50)
        deployment = self.deployment("greeter")
        self.assertEqual(deployment["state"], "ROLLED_BACK")
        self.assertEqual(deployment["verdict"]["kind"], "FAILED")
        self.assertTrue(any(test["fired"] for test in deployment["verdict"]["tests"]))
        self.explain("greeter", "FAILED", at_least=2)
        agent = self.agent("greeter")
        self.assertEqual(agent["stable"]["name"], "greeter@1")
        self.assertEqual(agent["stable"]["weightPercent"], 100)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.wait_idle()["deadLettered"], 0)
        history = {e["revision"]["name"]: e["revision"]
                   for e in self.cli_json("agent", "history", "greeter")["entries"]}
        self.assertTrue(history["greeter@2"]["withdrawn"])
        harness.wait_until(lambda: not self.workers("greeter@2"), "the canary's workers end")

    def test_slow_is_rolled_back_by_itself(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "100", "--keys", "500")
        self.deploy(example("greeter-2-slow"), "greeter", "--set", "slow_percent=50", "--stages",
                    "50:20m", "--rollback-on", "p99_latency>50ms", code=ROLLED_BACK)
        self.assert_clean_load(load.stop(), at_least=50)
        deployment = self.deployment("greeter")
        self.assertEqual(deployment["verdict"]["kind"], "FAILED")
        self.assertIn("p99_latency", deployment["verdict"]["reason"])
        # Settings of a withdrawn revision do not carry over.
        self.assertNotIn("slow_percent", self.agent("greeter")["stable"].get("settings", {}))

    def test_no_messages_is_inconclusive(self):
        self.start_greeter()
        out = self.deploy(example("greeter-2"), "greeter", "--stages", "50:1m", "--rollback-on",
                          "error_rate>1%", code=harness.INCONCLUSIVE)
        self.assertIn("inconclusive", out.out)
        deployment = self.deployment("greeter")
        self.assertTrue(deployment["paused"] and deployment["inconclusive"])
        self.explain("greeter", "INCONCLUSIVE", at_least=0)
        self.assertEqual(self.request("greeter", "Ada")[:11], "Hello, Ada!")
        self.cli("deployment", "promote", "greeter", "--full")
        self.wait_deployment("greeter", lambda d: d["state"] == "RUNNING", "promoted")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")

    def test_pause_resume_promote(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "300", "--keys", "500")
        id = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "10:10m,50:10m")
        self.wait_deployment(id, lambda d: "canary" in d["stageName"], "the first stage")
        paused = self.cli_json("deployment", "pause", id)["deployment"]
        self.assertTrue(paused["paused"])
        first = self.deployment(id)
        self.assertEqual(first["stageName"], "canary 10%")
        elapsed = harness.seconds(first["stageElapsed"])
        self.assertAlmostEqual(harness.seconds(self.deployment(id)["stageElapsed"]), elapsed, 2)
        self.assertFalse(self.cli_json("deployment", "resume", id)["deployment"]["paused"])
        self.wait_deployment(
            id, lambda d: harness.seconds(d["stageElapsed"]) > elapsed or "10" not in d["stageName"],
            "the clock runs again")
        self.cli("deployment", "promote", id)
        second = self.wait_deployment(id, lambda d: d["stageName"] == "canary 50%", "the next stage")
        self.assertEqual(second["weightPercent"], 50)
        self.cli("deployment", "promote", id, "--full")
        self.wait_deployment(id, lambda d: d["state"] == "RUNNING", "full")
        self.assert_clean_load(load.stop())
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")

    def test_abort(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "300", "--keys", "500")
        id = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "50:20m")
        self.wait_deployment(
            id, lambda d: int(d.get("candidate", {}).get("count", 0)) > 10, "messages on the canary")
        self.cli("deployment", "abort", id)
        done = self.wait_deployment(id, lambda d: d["state"] == "ROLLED_BACK", "aborted")
        self.assertTrue(done["aborted"])
        self.assert_clean_load(load.stop())
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.cli("deployment", "watch", id, code=ROLLED_BACK)

    def test_a_poisoned_message_condemns_nobody(self):
        # Fails on both revisions: shared, counted for neither.
        self.server(*SCALE)
        self.deploy(harness.module("misbehave"), "naughty")
        id = self.deploy_detached(harness.module("misbehave"), "naughty", "--force", "--stages",
                                  "50:60m", "--rollback-on", "error_rate>1%")
        self.wait_deployment(id, lambda d: "canary" in d["stageName"], "the stage")
        for i in range(8):
            self.cli("message", "send", "naughty", "--data", "reject", "--key", f"k{i}")
        harness.wait_until(
            lambda: int(self.status()["messages"]["deadLettered"]) == 8, "8 dead letters")
        last = self.wait_deployment(
            id, lambda d: int(d["candidate"]["shared"]) > 0 and int(d["stable"]["shared"]) > 0,
            "shared failures counted as such")
        self.assertEqual(last["state"], "DEPLOYING")
        self.assertEqual(int(last["candidate"]["errors"]), 0)
        self.assert_adds_up()


if __name__ == "__main__":
    harness.main()

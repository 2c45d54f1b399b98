#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""When the judge decides: early on evidence, in the cleanup window, and while a stage waits."""
import harness
from harness import REFUSED, ROLLED_BACK, example, module

KEPT = module("misbehave-reused")
BATCH = 20          # messages between two looks
MAX_BATCHES = 50


class Early(harness.CaxtonTest):
    def wait_forecast(self, id):
        """Sends a few messages at a time until the server foresees when it can decide."""
        for _ in range(MAX_BATCHES):
            self.cli("load", "agent", "--send", "--count", BATCH, "--keys", "0")
            self.wait_idle()
            seen = self.deployment(id)
            if int(seen["messagesToDecide"]) > 0:
                return seen
        self.fail(f"no forecast after {MAX_BATCHES * BATCH} messages: {seen}")

    def test_a_candidate_without_stables_failures_is_promoted_before_its_time(self):
        self.server()
        self.deploy(KEPT, "agent", "--set", "mode=stumble")
        yaml = ("deployment:\n  strategy: canary\n  promote: early\n  stages:\n"
                "    - canary: { weight: 50%, for: 60m, min_samples: 30 }\n    - full: 100%\n")
        file = self.folder / "early.yaml"
        file.write_text(yaml)
        id = self.deploy_detached(KEPT, "agent", "-f", file, "--set", "mode=fine")
        self.wait_deployment(id, lambda d: d["stageName"] == "canary 50%", "the stage")
        self.assertEqual(int(self.deployment(id)["messagesToDecide"]), 0)

        seen = self.wait_forecast(id)
        self.assertEqual(seen["stageName"], "canary 50%")
        self.assertGreater(int(seen["stable"]["errors"]), 0)
        self.assertGreater(harness.seconds(seen["timeToDecide"]), 0)
        line = self.cli("deployment", "explain", id).out.splitlines()[0]
        self.assertRegex(line, r", about [1-9]\d* messages, \S+ to decide")

        load = self.load("agent", "--send", "--rate", "300", "--keys", "0")
        # The stage would last an hour.
        done = self.wait_deployment(id, lambda d: d["state"] == "RUNNING", "promoted early")
        self.assert_clean_load(load.stop())
        self.assertEqual(int(done["candidate"]["errors"]), 0)
        self.assertEqual(done["verdict"]["kind"], "SUCCESSFUL")
        self.assertIn("fewer than 1.5 times stable's rate", done["verdict"]["reason"])
        # What stumbled on stable was handled in the end.
        self.assertEqual(self.wait_idle()["deadLettered"], 0)


class CleanupWindow(harness.CaxtonTest):
    def rolled_back_after_full_traffic(self, strategy):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        file = self.folder / "deployment.yaml"
        file.write_text(f"deployment:\n  strategy: {strategy}\n"
                        "  rollback_on: [ error_rate > 1% ]\n")
        deploy = harness.Load(["deploy", example("greeter-2-trapping"), "--name", "greeter", "-f",
                               str(file), "--set", "trap_percent=20", "--wait", "finalized"],
                              self.environment(), self.folder / "deploy.log")
        self.addCleanup(deploy.close)
        full = self.wait_deployment(
            "greeter", lambda d: d["revision"] == "greeter@2" and d["state"] == "RUNNING",
            "full traffic")
        self.assertEqual((full["weightPercent"], full["finalized"]), (100, False))
        load = self.load("greeter", "--request", "--rate", "200", "--keys", "100")
        result = deploy.wait()
        self.assertEqual(result.code, ROLLED_BACK, str(result))
        self.assertIn("error_rate > 1%", result.err)
        # A sender whose message trapped got stable's answer.
        self.assert_clean_load(load.stop(), at_least=2)
        done = self.deployment("greeter")
        self.assertEqual((done["state"], done["verdict"]["kind"]), ("ROLLED_BACK", "FAILED"))
        self.assertGreaterEqual(int(done["candidate"]["errors"]), 2)
        explained = self.cli_json("deployment", "explain", "greeter")
        self.assertTrue(explained["matchesRecorded"], explained)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.wait_idle()["deadLettered"], 0)

    def test_direct(self):
        self.rolled_back_after_full_traffic("direct")

    def test_blue_green(self):
        self.rolled_back_after_full_traffic("blue-green")


class Stick(harness.CaxtonTest):
    def answers(self, number):
        return {self.request("greeter", "Ada", "--key", "one") for _ in range(number)}

    def start_canary(self, stick):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        file = self.folder / "canary.yaml"
        file.write_text("deployment:\n  strategy: canary\n"
                        f"  stick: {stick}\n  stages: [ canary: {{ weight: 50%, for: 60m }}, "
                        "full: 100% ]\n")
        id = self.deploy_detached(example("greeter-2"), "greeter", "-f", file)
        self.wait_deployment(id, lambda d: d["stageName"] == "canary 50%", "the stage")

    def test_message_lets_both_revisions_answer_one_key(self):
        self.start_canary("message")
        seen = set()
        for _ in range(20):
            seen |= self.answers(3)
            if len(seen) > 1:
                break
        self.assertEqual(seen, {"Hello, Ada! (greeter 1)", "Hello, Ada! (greeter 2)"})

    def test_key_keeps_to_one(self):
        self.start_canary("key")
        self.assertEqual(len(self.answers(20)), 1)


class PausedStage(harness.CaxtonTest):
    """A pause stops the stage's clock, never the judge: one by command, and `pause: true`, where the
    stage waits for promote at its end."""

    def start_canary(self, duration):
        self.server("--dev", "--time-scale", "60")
        self.deploy(module("misbehave"), "agent", "--set", "mode=fine")
        file = self.folder / "canary.yaml"
        file.write_text("deployment:\n  strategy: canary\n  rollback_on: [ error_rate > 1% ]\n"
                        "  stages:\n    - canary:\n"
                        f"        {{ weight: 50%, for: {duration}, min_samples: 10, pause: true }}\n"
                        "    - full: 100%\n")
        # Does what the message says: well, as long as nobody asks for a trap.
        id = self.deploy_detached(module("misbehave"), "agent", "-f", file, "--set", "mode=")
        self.wait_deployment(id, lambda d: d["stageName"] == "canary 50%", "the stage")
        return id

    def start_paused(self):
        id = self.start_canary("1m")
        load = self.load("agent", "--request", "--rate", "100", "--keys", "0")
        paused = self.wait_deployment(id, lambda d: d["paused"], "the stage has passed and waits")
        self.assert_clean_load(load.stop())
        self.assertEqual((paused["state"], paused["stageName"]), ("DEPLOYING", "canary 50%"))
        self.assertEqual(paused["verdict"]["kind"], "SUCCESSFUL")
        self.assertFalse(paused["inconclusive"])
        return id

    def ask(self, data):
        """A message of no key: each is drawn anew. Whatever the candidate does, stable answers."""
        self.assertEqual(self.request("agent", data), "ok")

    def test_it_waits_for_promote(self):
        id = self.start_paused()
        before = self.deployment(id)

        def counted():
            self.ask("fine")
            after = self.deployment(id)
            return int(after["candidate"]["count"]) > int(before["candidate"]["count"]) and after

        after = harness.wait_until(counted, "the judge goes on counting")
        self.assertEqual((after["paused"], after["stageElapsed"]), (True, before["stageElapsed"]))
        self.refused("deployment", "resume", id, code=REFUSED, says="promote")
        self.cli("deployment", "promote", id)
        self.wait_deployment(id, lambda d: d["state"] == "RUNNING", "promoted")

    def test_a_failing_one_is_rolled_back_while_it_waits(self):
        self.fails_while_paused(self.start_paused())

    def test_a_failing_one_is_rolled_back_while_paused_by_command(self):
        id = self.start_canary("60m")
        self.assertTrue(self.cli_json("deployment", "pause", id)["deployment"]["paused"])
        self.fails_while_paused(id)

    def fails_while_paused(self, id):
        def ended():
            self.ask("trap")
            deployment = self.deployment(id)
            return deployment["state"] == "ROLLED_BACK" and deployment

        done = harness.wait_until(ended, "it is rolled back")
        self.assertEqual(done["verdict"]["kind"], "FAILED")
        self.assertFalse(done["paused"])
        self.assertEqual(self.agent("agent")["stable"]["name"], "agent@1")
        self.cli("deployment", "watch", id, code=ROLLED_BACK)


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What happens to a deployment when the agent already has one in progress."""
import harness
from harness import REFUSED, ROLLED_BACK, example


class Queue(harness.CaxtonTest):
    def busy(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        id = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "50:30m", "--rollback-on",
                                  "error_rate>50%")
        self.wait_deployment(id, lambda d: "canary" in d["stageName"], "the canary runs")
        return id

    def test_the_newest_waiting_one_wins(self):
        first = self.busy()
        second = self.deploy_detached(example("greeter-2"), "greeter", "--set", "greeting=Second")
        waiting = self.deployment(second)
        self.assertTrue(waiting["queued"])
        self.assertEqual(waiting["queuedBehind"], first)
        third = self.deploy_detached(example("greeter-2"), "greeter", "--set", "greeting=Third")
        overtaken = self.wait_deployment(second, lambda d: d["state"] in ("FAILED", "ROLLED_BACK"),
                                         "the older waiting one is overtaken")
        self.assertFalse(overtaken["queued"])
        self.assertTrue(self.deployment(third)["queued"])
        self.cli("deployment", "promote", first, "--full")
        self.cli("deployment", "watch", third)
        self.assertEqual(self.request("greeter", "Ada"), "Third, Ada! (greeter 2)")
        # What the newer one replaced stays through its cleanup window.
        self.assertEqual(self.deployment(first)["state"], "RUNNING")

    def test_a_waiting_one_survives_a_crash(self):
        first = self.busy()
        second = self.deploy_detached(example("greeter-2"), "greeter", "--set", "greeting=Second")
        self.current.kill()
        self.current.start()
        self.assertTrue(self.deployment(second)["queued"])
        self.cli("deployment", "abort", first)
        self.cli("deployment", "watch", second)
        self.assertEqual(self.request("greeter", "Ada"), "Second, Ada! (greeter 2)")
        self.cli("deployment", "watch", first, code=ROLLED_BACK)

    def test_replace(self):
        first = self.busy()
        self.deploy(example("greeter-2"), "greeter", "--queue", "replace", "--set", "greeting=New")
        self.assertEqual(self.request("greeter", "Ada"), "New, Ada! (greeter 2)")
        self.assertEqual(self.deployment(first)["state"], "ROLLED_BACK")

    def test_refuse(self):
        first = self.busy()
        self.refused("deploy", example("greeter-2"), "--name", "greeter", "--queue", "refuse", "--set",
                     "greeting=New", code=REFUSED, says=first)
        self.assertEqual(self.deployment(first)["state"], "DEPLOYING")

    def test_rollback_does_not_queue(self):
        first = self.busy()
        second = self.deploy_detached(example("greeter-2"), "greeter", "--set", "greeting=Second")
        self.assertTrue(self.deployment(second)["queued"])
        self.assertEqual(self.cli_json("rollback", "greeter")["toRevision"], "greeter@1")
        self.assertEqual(self.deployment(first)["state"], "ROLLED_BACK")
        self.cli("deployment", "watch", second)

    def test_one_deployment_per_idempotency_key(self):
        self.server()
        ids = {self.cli_json("deploy", example("greeter-1"), "--name", "greeter", "--detach",
                             "--idempotency-key", "once")["deploymentId"] for _ in range(3)}
        self.assertEqual(len(ids), 1)


if __name__ == "__main__":
    harness.main()

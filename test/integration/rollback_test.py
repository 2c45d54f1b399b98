#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Rollback by command: under load, draining, after the cleanup window, to a revision."""
import harness
from harness import REFUSED, example

PHASES = ["diverted", "restored", "redelivered", "cleaned"]


class Rollback(harness.CaxtonTest):
    def two_versions(self, *options):
        self.server()
        self.deploy(example("greeter-1"), "greeter", "--version", "1")
        self.deploy(example("greeter-2"), "greeter", "--version", "2", *options)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")

    def check_phases(self, answer, how):
        names = [phase["name"] for phase in answer["phases"]]
        for name in PHASES + [how]:
            self.assertIn(name, names)

    def load_under_way(self, rate, answered):
        """Requests to greeter; returns once so many were answered, with the load and its ledger."""
        ledger = self.folder / "ledger"
        load = self.load("greeter", "--request", "--rate", rate, "--keys", "100", "--ledger", ledger)
        harness.wait_until(
            lambda: ledger.exists() and ledger.read_text().count(" INFORM") > answered,
            "the load is under way")
        return load, ledger

    def test_under_load(self):
        self.two_versions()
        load, ledger = self.load_under_way("500", answered=200)
        answer = self.cli_json("rollback", "greeter")
        self.assertEqual((answer["fromRevision"], answer["toRevision"]), ("greeter@2", "greeter@1"))
        self.check_phases(answer, "interrupted")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        before = ledger.read_text().count(" INFORM")
        harness.wait_until(lambda: ledger.read_text().count(" INFORM") > before + 100,
                           "the load goes on")
        self.assert_clean_load(load.stop(), at_least=300)
        self.assertEqual(self.deployment("greeter")["state"], "ROLLED_BACK")
        self.wait_idle()
        harness.wait_until(lambda: not self.workers("greeter@2"), "its workers end")

    def test_with_drain(self):
        self.two_versions()
        load, _ = self.load_under_way("300", answered=20)
        answer = self.cli_json("rollback", "greeter", "--drain", "5s")
        self.check_phases(answer, "drained")
        self.assertEqual(answer["toRevision"], "greeter@1")
        self.assert_clean_load(load.stop())
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_interrupts_a_running_step(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        # 100 % of the messages run for minutes; the deadline is longer still.
        self.deploy_from("resources: { deadline: 10m }\n", example("greeter-2-slow"), "greeter",
                         "--set", "slow_percent=100", "--set", "spin=400000000000")
        load = self.load("greeter", "--request", "--count", "4", "--keys", "4")
        harness.wait_until(lambda: int(self.status()["messages"]["accepted"]) >= 0 and
                           any(w["state"] in ("running", "ready") for w in self.workers("greeter@2")),
                           "the candidate has workers")
        answer = self.cli_json("rollback", "greeter")
        self.assertEqual(answer["toRevision"], "greeter@1")
        # What ran there is answered by the restored revision.
        self.assert_clean_load(load.wait(20), at_least=4)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.wait_idle()

    def test_during_a_canary(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        load = self.load("greeter", "--request", "--rate", "300", "--keys", "100")
        id = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "50:10m")
        self.wait_deployment(
            id, lambda d: int(d.get("candidate", {}).get("count", 0)) > 10, "messages on the canary")
        answer = self.cli_json("rollback", "greeter")
        self.assertEqual(answer["deploymentId"], id)
        self.assertEqual(answer["toRevision"], "greeter@1")
        self.assert_clean_load(load.stop())
        self.cli("deployment", "watch", id, code=harness.ROLLED_BACK)

    def test_after_the_cleanup(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter", "--version", "1")
        self.deploy_from("deployment: { strategy: direct, cleanup: 200ms }\n", example("greeter-2"),
                         "greeter", "--wait", "finalized")
        self.assertTrue(self.deployment("greeter")["finalized"])
        harness.wait_until(lambda: not self.workers("greeter@1"), "the old revision's workers end")
        load = self.load("greeter", "--request", "--rate", "200", "--keys", "20")
        answer = self.cli_json("rollback", "greeter")
        self.assertEqual(answer["fromRevision"], "greeter@2")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assert_clean_load(load.stop())

    def test_nothing_to_return_to(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        self.refused("rollback", "greeter", code=REFUSED)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_a_withdrawn_revision_is_no_target(self):
        self.two_versions()
        self.cli("rollback", "greeter")
        self.refused("rollback", "greeter", "--to", "2", code=REFUSED, says="greeter@2")
        self.refused("rollback", "greeter", code=REFUSED)
        self.deploy(example("greeter-2"), "greeter", "--version", "2b")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.assertEqual(self.cli_json("rollback", "greeter", "--to", "1")["fromRevision"], "greeter@3")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")


if __name__ == "__main__":
    harness.main()

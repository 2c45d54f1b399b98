#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""SIGTERM and kill -9 of the server, kill -9 of workers, under load and in the middle of a canary."""
import os
import signal
import time

import harness
from harness import example, module, seconds


class Restart(harness.CaxtonTest):
    def test_sigterm_under_load(self):
        server = self.server()
        self.deploy(example("greeter-1"), "greeter")
        ledger = self.folder / "ledger"
        load = self.load("greeter", "--request", "--rate", "500", "--keys", "50", "--ledger", ledger)
        for _ in range(2):
            before = ledger.read_text().count(" INFORM") if ledger.exists() else 0
            harness.wait_until(lambda: ledger.exists() and
                               ledger.read_text().count(" INFORM") > before + 200, "the load runs")
            self.assertEqual(server.stop(), 0)
            server.start()
        before = ledger.read_text().count(" INFORM")
        harness.wait_until(lambda: ledger.read_text().count(" INFORM") > before + 200, "it goes on")
        summary = self.assert_clean_load(load.stop(), at_least=600)
        self.assertGreaterEqual(summary["reconnects"], 2)
        self.assertEqual(int(self.status()["startCount"]), 3)
        self.wait_idle()

    def test_waiting_messages_survive_kill(self):
        server = self.server()
        self.deploy_from("delivery: { max_attempts: 1000 }\n", module("misbehave"), "naughty",
                         "--set", "mode=retry")
        ledger = self.folder / "ledger"
        sent = self.run_cli("load", "naughty", "--send", "--count", "500", "--keys", "20", "--ledger",
                            ledger, "--output", "json")
        self.assert_clean_load(sent, at_least=500)
        self.assertEqual(int(self.status()["messages"]["waiting"]), 500)
        server.kill()
        server.start()
        self.assertEqual(int(self.status()["messages"]["waiting"]), 500)
        self.assert_adds_up()
        self.cli("message", "tail", "naughty")
        self.cli("agent", "set", "naughty", "--set", "mode=well")
        counts = self.wait_idle(30)
        self.assertEqual((counts["accepted"], counts["completed"]), (500, 500))
        tail = self.cli_json("load", "naughty", "--send", "--ledger", ledger, "--keys", "20",
                             "--verify-tail", "naughty", "--expect-from-ledger")["tail"]
        self.assertEqual((tail["lost"], tail["doubled"], tail["outOfOrder"]), (0, 0, 0), tail)

    def test_kill_in_the_middle_of_a_canary(self):
        server = self.server()
        self.deploy(example("greeter-1"), "greeter")
        ledger = self.folder / "ledger"
        load = self.load("greeter", "--request", "--rate", "200", "--keys", "500", "--ledger", ledger)
        id = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "10:10m,50:10m",
                                  "--rollback-on", "error_rate>1%")
        self.wait_deployment(id, lambda d: "canary" in d["stageName"], "the first stage")
        self.cli("deployment", "promote", id)
        before = self.wait_deployment(
            id, lambda d: int(d.get("candidate", {}).get("count", 0)) > 50 and
            seconds(d["stageElapsed"]) > 2.5, "evidence and some time in the second stage")
        server.kill()
        killed = time.monotonic()
        server.start()
        after = self.deployment(id)
        waited = time.monotonic() - killed
        for field in ("state", "stageName", "stageIndex", "weightPercent", "revision",
                      "stableRevision"):
            self.assertEqual(before[field], after[field], field)
        # The clock excludes the downtime, may lag by a second and must not lead. What passes
        # between the look before and the kill, and since the start, may be in it.
        elapsed = seconds(after["stageElapsed"])
        self.assertGreaterEqual(elapsed, seconds(before["stageElapsed"]) - 1.05)
        self.assertLessEqual(elapsed, seconds(before["stageElapsed"]) + waited + 0.5)
        self.assertGreaterEqual(int(after["candidate"]["count"]), int(before["candidate"]["count"]))
        self.wait_deployment(
            id, lambda d: int(d["candidate"]["count"]) > int(after["candidate"]["count"]),
            "the canary gets messages again")
        self.cli("deployment", "promote", id, "--full")
        self.wait_deployment(id, lambda d: d["state"] == "RUNNING", "promoted")
        self.assert_clean_load(load.stop(), at_least=50)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.wait_idle()

    def test_rolled_back_stays_rolled_back(self):
        server = self.server()
        self.deploy(example("greeter-1"), "greeter")
        self.deploy(example("greeter-2"), "greeter")
        self.cli("rollback", "greeter")
        server.kill()
        server.start()
        self.assertEqual(self.deployment("greeter")["state"], "ROLLED_BACK")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual([w["revision"] for w in self.workers()], ["greeter@1"] * len(self.workers()))

    def test_the_watch_rides_over_a_restart(self):
        server = self.server("--dev", "--time-scale", "60")
        self.deploy(example("greeter-1"), "greeter")
        load = self.load("greeter", "--request", "--rate", "200", "--keys", "500", "--retry")
        watch = harness.Load(["deploy", example("greeter-2"), "--name", "greeter", "--stages", "50:3m"],
                             self.environment(), self.folder / "watch.log")
        self.addCleanup(watch.close)
        harness.wait_until(lambda: "canary 50%" in (self.folder / "watch.log").read_text(),
                           "the deploy shows the stage")
        server.kill()
        server.start()
        result = watch.wait(30)
        self.assertEqual(result.code, 0, str(result))
        self.assertIn("reconnecting", result.err)
        self.assertIn("Connected again", result.err)
        self.assert_clean_load(load.stop())


class Workers(harness.CaxtonTest):
    def test_kill_under_load(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        load = self.load("greeter", "--request", "--rate", "500", "--keys", "100")
        killed = set()
        for _ in range(8):
            pid = harness.wait_until(
                lambda: next((int(w["pid"]) for w in self.workers("greeter@1")
                              if int(w["pid"]) not in killed and w["state"] in ("ready", "running")),
                             0), "a worker to kill")
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assert_clean_load(load.stop(), at_least=100)
        self.assertGreaterEqual(sum(int(w["restarts"]) for w in self.workers()), 8)
        self.assertEqual(self.wait_idle()["deadLettered"], 0)

    def test_stopped_worker_is_replaced(self):
        # It neither answers nor dies.
        self.server()
        self.deploy_from("resources: { deadline: 500ms }\n", example("greeter-1"), "greeter")
        pid = int(self.workers("greeter@1")[0]["pid"])
        for worker in self.workers("greeter@1"):
            os.kill(int(worker["pid"]), signal.SIGSTOP)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertFalse(harness.process_exists(pid))


if __name__ == "__main__":
    harness.main()

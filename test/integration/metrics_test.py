#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every metric that has a public name: there, with its labels, and it moves."""
import harness
from harness import example, wait_until

SCALE = ("--dev", "--time-scale", "60")


class Metrics(harness.CaxtonTest):
    def assert_moved(self, name, at_least=1, **labels):
        value = self.metric(name, **labels)
        self.assertGreaterEqual(value, at_least, f"{name}{labels}: {sorted(self.metrics())}")
        return value

    def test_messages_and_versions(self):
        self.server(*SCALE)
        self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0")
        for i in range(5):
            self.request("greeter", f"m{i}")
        self.cli("message", "send", "greeter", "--data", "x")
        self.wait_idle()
        one = {"agent": "greeter", "version": "1.0.0"}
        self.assert_moved("caxton_messages_accepted_total", 6, **one)
        self.assert_moved("caxton_messages_completed_total", 6, **one)
        self.assert_moved("caxton_message_processing_duration_seconds_count", 6, **one)
        self.assertIn(("caxton_messages_refused_total", tuple(sorted(one.items()))), self.metrics())
        self.assertIn(("caxton_message_queue_size", (("agent", "greeter"),)), self.metrics())
        self.assertEqual(self.metric("caxton_agent_version_active", **one), 1)
        # Measured about once a second, where cgroups are writable.
        if self.status()["cgroupMode"] != "none":
            wait_until(lambda: self.metric("caxton_agent_memory_bytes", **one) > 0, "memory", 10)
            wait_until(lambda: self.metric("caxton_agent_cpu_seconds_total", **one) > 0, "CPU", 10)
        self.assert_moved("caxton_journal_commit_duration_seconds_count")
        journal = self.status()["journal"]
        self.assertGreater(harness.seconds(journal["commitP50"]), 0)
        self.assertGreaterEqual(harness.seconds(journal["commitP99"]),
                                harness.seconds(journal["commitP50"]))
        self.assertIn("commit p50", self.cli("server", "status").out)
        # A version that serves no more is no series any more.
        self.deploy(example("greeter-2"), "greeter", "--version", "2.0.0")
        two = {"agent": "greeter", "version": "2.0.0"}
        self.assertEqual(self.metric("caxton_agent_version_active", **two), 1)
        self.assertNotIn(("caxton_agent_version_active", tuple(sorted(one.items()))), self.metrics())

    def test_retries_and_dead_letters(self):
        self.server()
        self.deploy_from("delivery: { max_attempts: 2 }\n", harness.module("misbehave"), "worse")
        self.cli("message", "send", "worse", "--data", "trap")
        wait_until(lambda: self.metric("caxton_messages_dead_lettered_total", agent="worse",
                                      version="1") == 1, "a dead letter is counted")
        self.assert_moved("caxton_step_retries_total")

    def test_deployments(self):
        self.server(*SCALE)
        self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0")
        for stage in ("static", "sandbox", "contracts", "resources"):
            self.assert_moved("caxton_deployment_validation_time_seconds_count", stage=stage)
        self.assert_moved("caxton_deployment_duration_seconds_count", strategy="direct",
                          status="RUNNING")
        self.assertEqual(
            self.metric("caxton_deployments_active", strategy="direct", state="RUNNING"), 1)
        made = self.deploy_detached(example("greeter-2"), "greeter", "--version", "2.0.0",
                                    "--stages", "5:60m")
        self.wait_deployment(made, lambda d: d["stageName"] == "canary 5%", "the canary's stage")
        queued = self.deploy_detached(example("greeter-2-slow"), "greeter", "--version", "3.0.0")
        self.assertEqual(
            self.metric("caxton_deployments_active", strategy="canary", state="DEPLOYING"), 1)
        self.assertEqual(self.metric("caxton_deployment_queue_length"), 1)
        self.assertEqual(
            self.metric("caxton_agent_version_active", agent="greeter", version="2.0.0"), 1)
        self.cli("deployment", "abort", queued)
        self.cli("deployment", "abort", made)
        wait_until(lambda: self.metric("caxton_deployments_active", strategy="canary",
                                      state="DEPLOYING") == 0, "none is deploying")
        self.assertEqual(self.metric("caxton_deployment_queue_length"), 0)
        self.assertEqual(self.metric("caxton_deployment_rollback_total", reason="abort"), 2)
        self.assertEqual(self.metric("caxton_deployment_duration_seconds_count", strategy="canary",
                                    status="ROLLED_BACK"), 1)
        # A restart counts nothing again.
        self.current.stop()
        self.current.start()
        self.assertEqual(self.metric("caxton_deployment_rollback_total", reason="abort"), 0)
        self.assertEqual(
            self.metric("caxton_deployments_active", strategy="direct", state="RUNNING"), 1)


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Deploy, request, send, inspect, settings, first deployment, removal, agent to agent."""
import urllib.request

import harness
from harness import DONE, REFUSED, USAGE, example


class Basics(harness.CaxtonTest):
    def test_deploy_request_inspect(self):
        self.server()
        out = self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0")
        self.assertIn("greeter@1 (1.0.0) is running", out.out)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.request("greeter", ""), "Hello, world! (greeter 1)")

        agent = self.agent("greeter")
        self.assertEqual(agent["stable"]["name"], "greeter@1")
        self.assertEqual(agent["stable"]["version"], "1.0.0")
        self.assertEqual(agent["stable"]["weightPercent"], 100)
        self.assertEqual(agent["state"], "RUNNING")
        self.assertEqual(agent["health"]["status"], "WELL")
        self.assertEqual([a["name"] for a in self.cli_json("agent", "list")["agents"]], ["greeter"])
        history = self.cli_json("agent", "history", "greeter")["entries"]
        self.assertEqual([entry["revision"]["name"] for entry in history], ["greeter@1"])
        self.assertEqual(history[0]["revision"]["weightPercent"], 100)
        counts = self.wait_idle()
        self.assertEqual(counts["completed"], 2)
        self.assertEqual(counts["refused"], 0)

    def test_output_of_a_deploy(self):
        self.server()
        events = self.cli("deploy", example("greeter-1"), "--name", "greeter", "--output", "json").events()
        states = [event["deployment"]["state"] for event in events]
        self.assertEqual(states[-1], "RUNNING")
        for event in events:
            self.assertRegex(event["traceId"], "^[0-9a-f]{32}$")
            self.assertEqual(event["deploymentId"], events[-1]["deploymentId"])
        stages = {s["stage"]: s for s in events[-1]["deployment"]["validation"]["stages"]}
        self.assertTrue(stages["static"]["ran"] and stages["static"]["passed"])
        self.assertEqual(list(stages), ["static", "sandbox", "contracts", "resources"])
        for stage in stages.values():
            self.assertTrue(stage["ran"] and stage["passed"], stage)

    def test_every_example_passes_validation(self):
        # pingpong rejects every hostile sample, which is right.
        modules = sorted(harness.EXAMPLES.glob("*.wasm"))
        self.assertGreater(len(modules), 5)
        for path in modules:
            self.cli("agent", "validate", path)

    def test_same_content_again(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        again = self.deploy(example("greeter-1"), "greeter")
        self.assertIn("already running", again.out)
        self.deploy(example("greeter-1"), "greeter", "--force")
        self.assertEqual(self.agent("greeter")["health"]["status"], "WELL")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_settings_carry_over(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter", "--set", "greeting=Moin")
        self.assertEqual(self.request("greeter", "Ada"), "Moin, Ada! (greeter 1)")
        self.cli("agent", "set", "greeter", "--set", "greeting=Servus")
        self.assertEqual(self.request("greeter", "Ada"), "Servus, Ada! (greeter 1)")
        dry = self.cli_json("deploy", example("greeter-2"), "--name", "greeter", "--memory", "32Mi",
                            "--dry-run")
        fields = {change["field"]: change for change in dry["changes"]}
        self.assertTrue(any("memory" in field for field in fields), fields)
        self.assertTrue(dry["validation"]["passed"])
        self.assertEqual(self.request("greeter", "Ada"), "Servus, Ada! (greeter 1)")
        self.deploy(example("greeter-2"), "greeter")
        self.assertEqual(self.request("greeter", "Ada"), "Servus, Ada! (greeter 2)")

    def test_first_deployment_with_canary_says_so(self):
        self.server()
        out = self.deploy(example("greeter-1"), "greeter", "--strategy", "canary",
                          "--stages", "5:5m,50:10m")
        self.assertIn("skipped", (out.out + out.err).lower(), str(out))
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_versions_are_unique(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter", "--version", "1")
        self.refused("deploy", example("greeter-2"), "--name", "greeter", "--version", "1",
                     code=REFUSED, says="version '1'")

    def test_relay_asks_another_agent(self):
        self.server()
        self.deploy(example("echo"), "echo")
        self.deploy(example("relay"), "relay")
        self.assertEqual(self.request("relay", "ping-42"), "ping-42")
        self.assertEqual(self.cli("message", "request", "relay", "--data", "k", "--key", "a").out, "k")
        self.wait_idle()

    def test_message_to_an_unknown_agent(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        result = self.run_cli("message", "request", "greter", "--data", "x")
        self.assertNotEqual(result.code, DONE)
        self.assertIn("greter", result.err)
        self.assertIn("did you mean 'greeter'?", result.err)

    def test_content_above_the_limit(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        big = self.folder / "big"
        big.write_bytes(b"x" * (1 << 20) + b"yy")
        result = self.run_cli("message", "send", "greeter", "--file", big)
        self.assertNotEqual(result.code, DONE)
        self.assertIn("To fix: ", result.err, str(result))
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.wait_idle()["accepted"], 1)

    def test_remove(self):
        self.server()
        self.deploy(harness.module("misbehave"), "naughty", "--set", "mode=retry")
        self.cli("message", "send", "naughty", "--data", "x")
        self.refused("agent", "remove", "naughty", code=REFUSED, says="waiting")
        removed = self.cli_json("agent", "remove", "naughty", "--purge")
        self.assertEqual(int(removed["dropped"]), 1)
        result = self.run_cli("message", "send", "naughty", "--data", "x")
        self.assertNotEqual(result.code, DONE)
        counts = self.wait_idle()
        self.assertEqual((counts["accepted"], counts["dropped"]), (1, 1))
        harness.wait_until(lambda: not self.workers(), "the removed agent's workers end")

    def test_remove_after_traffic(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        load = self.run_cli("load", "greeter", "--send", "--count", "500", "--keys", "20", "--output",
                            "json")
        self.assert_clean_load(load, at_least=500)
        self.cli("agent", "remove", "greeter", "--drain")
        self.assertEqual(self.cli_json("agent", "list")["agents"], [])
        # The name is free again, and its new bearer starts from nothing.
        self.deploy(example("greeter-2"), "greeter")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.assertEqual(self.wait_idle()["completed"], 501)
        self.assertEqual(int(self.agent("greeter")["messages"]["completed"]), 1)

    def test_many_deploy_at_once(self):
        self.server()
        deploys = []
        for i in range(4):
            for name, more in ((f"echo-{i}", []), ("same", ["--set", f"n={i}"])):
                deploys.append(harness.Load(["deploy", example("echo"), "--name", name, *more],
                                            self.environment(), self.folder / f"{name}-{i}.log"))
                self.addCleanup(deploys[-1].close)
        results = [deploy.wait() for deploy in deploys]
        for result in results:
            # Of those that wait for their turn the newest wins.
            self.assertIn(result.code, (DONE, harness.ROLLED_BACK) if "same" in result.args else (DONE,),
                          str(result))
        for name in ("echo-0", "echo-1", "echo-2", "echo-3", "same"):
            self.assertEqual(self.request(name, "x"), "x")
        self.assertEqual(self.status()["activeDeployments"], 0)

    def test_http(self):
        server = self.server()
        self.deploy(example("echo"), "echo")
        self.assertEqual(self.request("echo", "x"), "x")
        for path, says in (("/healthz", ""), ("/readyz", ""), ("/metrics", "caxton_")):
            with urllib.request.urlopen(f"http://{server.http}{path}", timeout=10) as answer:
                self.assertEqual(answer.status, 200, path)
                self.assertIn(says, answer.read().decode())

    def test_closed_pipe_and_unknown_words(self):
        self.server()
        self.refused("agnet", "list", code=USAGE, says="agent")
        self.refused("deploy", example("greeter-1"), "--nmae", "x", code=USAGE, says="--name")
        self.refused("deployment", "show", "dep-99", code=harness.FAILED, says="dep-99")


if __name__ == "__main__":
    harness.main()

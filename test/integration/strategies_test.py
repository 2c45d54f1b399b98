#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every strategy with real processes: the three published files as they stand, previews, groups,
shadows, and the limit on deployments at once."""
import json

import harness
from harness import DONE, REFUSED, ROLLED_BACK, example

INCONCLUSIVE = harness.INCONCLUSIVE


class PublishedFiles(harness.CaxtonTest):
    """Hours pass in seconds; nothing is lost whatever the verdict."""

    def deploy_file(self, file, *, scale, codes):
        self.server("--dev", "--time-scale", scale)
        self.deploy(example("greeter-1"), "greeter", "--version", "1.0.0")
        load = self.load("greeter", "--request", "--rate", "500", "--keys", "5000")
        out = self.run_cli("deploy", example("greeter-2"), "--name", "greeter", "--version", "2.0.0",
                           "-f", str(harness.DEPLOYMENTS / file), timeout=120)
        self.assertIn(out.code, codes, out)
        self.assert_clean_load(load.stop())
        self.wait_idle()
        return self.deployment("greeter")

    def test_blue_green(self):
        deployment = self.deploy_file("blue-green.yaml", scale="60", codes=[DONE])
        self.assertEqual(deployment["strategy"], "BLUE_GREEN")
        self.assertEqual(deployment["state"], "RUNNING")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        # The old revision stays warm for its cleanup: taking it back needs no start.
        self.assertTrue(self.workers("greeter@1"))
        back = self.cli_json("rollback", "greeter")
        self.assertEqual({p["name"] for p in back["phases"]},
                         {"diverted", "interrupted", "restored", "redelivered", "cleaned"})
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_canary(self):
        # A machine that stalls for 100 ms in several seconds may fail p99_latency, or leave it
        # undecided, and nothing else.
        deployment = self.deploy_file("canary.yaml", scale="60",
                                      codes=[DONE, ROLLED_BACK, INCONCLUSIVE])
        if deployment["state"] == "RUNNING":
            self.assertFalse(deployment.get("paused"))
        else:
            self.assertIn(deployment["state"], ("ROLLED_BACK", "DEPLOYING"))
            self.assertIn("p99_latency", deployment["verdict"]["reason"])
        conditions = {t["condition"] for t in deployment["verdict"]["tests"]}
        self.assertEqual(conditions,
                         {"error_rate > 1%", "p99_latency > 100ms", "error_ratio > 1"})

    def test_shadow(self):
        deployment = self.deploy_file("shadow.yaml", scale="900", codes=[DONE])
        self.assertEqual(deployment["strategy"], "SHADOW")
        self.assertEqual(deployment["state"], "DRAINING")
        shadow = deployment["shadow"]
        self.assertGreater(int(shadow["compared"]), 0)
        # It greets with another number at the end: each reply differs, and only there.
        self.assertEqual(shadow["differing"], shadow["compared"])
        self.assertEqual([d["path"] for d in shadow["differences"]], ["reply/content"])
        sample = shadow["differences"][0]["samples"][0]
        self.assertTrue(sample["live"].endswith("(greeter 1)"), sample)
        self.assertTrue(sample["shadow"].endswith("(greeter 2)"), sample)
        self.assertEqual({r["metric"] for r in shadow["ratios"]},
                         {"latency", "cpu", "fuel", "memory"})
        # It never served.
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertIn("Compared with stable", self.cli("deployment", "show", "greeter").out)
        harness.wait_until(lambda: not self.workers("greeter@2"), "the shadow's workers end")


class Preview(harness.CaxtonTest):
    def test_a_preview_is_reached_by_those_who_ask_for_it(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        out = self.deploy(example("greeter-2"), "greeter", "--preview")
        self.assertIn("preview", out.out + out.err)
        self.assertTrue(self.deployment("greeter")["previewReady"])
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.request("greeter", "Ada", "--preview"), "Hello, Ada! (greeter 2)")
        self.assertEqual(self.request("greeter", "Ada", "--revision", "2"),
                         "Hello, Ada! (greeter 2)")
        self.current.kill()
        self.current.start()
        harness.wait_until(lambda: self.run_cli("message", "request", "greeter", "--data", "Ada",
                                                "--preview").out == "Hello, Ada! (greeter 2)",
                           "the preview is back after a crash")
        self.refused("message", "request", "greeter", "--data", "x", "--revision", "9",
                     code=REFUSED, says=["greeter@9"])
        self.cli("deployment", "promote", "greeter")
        self.wait_deployment("greeter", lambda d: d["state"] == "RUNNING", "switched")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.refused("message", "request", "greeter", "--data", "x", "--preview", code=REFUSED,
                     says=["--preview"])

    def test_blue_green_by_hand(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        yaml = "deployment:\n  strategy: blue-green\n  stages:\n    - switch: manual\n"
        self.deploy_from(yaml, example("greeter-2"), "greeter")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.cli("deployment", "abort", "greeter")
        self.assertEqual(self.deployment("greeter")["state"], "ROLLED_BACK")
        self.refused("message", "request", "greeter", "--data", "x", "--preview", code=REFUSED)


class ByFlag(harness.CaxtonTest):
    def test_blue_green(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        out = self.deploy(example("greeter-2"), "greeter", "--strategy", "blue-green")
        self.assertIn("greeter@2 is running", out.out)
        deployment = self.deployment("greeter")
        self.assertEqual((deployment["strategy"], deployment["state"], deployment["weightPercent"]),
                         ("BLUE_GREEN", "RUNNING", 100))
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.assertTrue(self.workers("greeter@1"))  # warm for its cleanup
        self.refused("deploy", example("greeter-1"), "--name", "greeter", "--strategy", "blue-green",
                     "--stages", "50:1m", code=harness.USAGE, says="canary")


class Shadow(harness.CaxtonTest):
    def start_greeter(self):
        self.server("--dev", "--time-scale", "60")
        self.deploy(example("greeter-1"), "greeter")
        return self.load("greeter", "--request", "--rate", "200", "--keys", "100")

    def test_the_same_code_is_equivalent(self):
        load = self.start_greeter()
        yaml = ("deployment: { strategy: shadow, duration: 3m, sample: 50%, secondary: true,"
                " fail_on: [ differs > 1% ] }\n")
        self.deploy_from(yaml, example("greeter-1"), "greeter", "--force")
        self.assert_clean_load(load.stop())
        shadow = self.deployment("greeter")["shadow"]
        self.assertGreater(int(shadow["compared"]), 0)
        self.assertEqual(shadow["equal"], shadow["compared"])
        self.assertEqual(shadow["equivalenceRate"], 1)
        explained = self.cli_json("deployment", "explain", "greeter")
        self.assertEqual(explained["verdict"]["kind"], "SUCCESSFUL")
        self.assertTrue(explained["matchesRecorded"], explained)

    def test_one_that_differs_misses_its_fail_on(self):
        load = self.start_greeter()
        yaml = "deployment: { strategy: shadow, duration: 20m, fail_on: [ differs > 1% ] }\n"
        self.deploy_from(yaml, example("greeter-2"), "greeter", code=ROLLED_BACK)
        self.assert_clean_load(load.stop())
        self.assertEqual(self.deployment("greeter")["verdict"]["kind"], "FAILED")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_one_that_traps_is_seen_by_nobody(self):
        load = self.start_greeter()
        self.deploy(example("greeter-2-trapping"), "greeter", "--strategy", "shadow", "--set",
                    "trap_percent=100", "--detach")
        self.wait_deployment("greeter",
                             lambda d: int(d.get("shadow", {}).get("compared", 0)) > 50,
                             "the shadow has run some", timeout=30)
        self.assert_clean_load(load.stop())
        paths = [d["path"] for d in self.deployment("greeter")["shadow"]["differences"]]
        self.assertIn("outcome", paths)
        self.assertEqual(self.wait_idle()["deadLettered"], 0)

    def test_promote_makes_it_a_deployment(self):
        load = self.start_greeter()
        id = self.deploy_detached(example("greeter-2"), "greeter", "--strategy", "shadow")
        self.wait_deployment(id, lambda d: d["stageName"] == "shadow", "the shadow runs")
        self.cli("deployment", "promote", id)
        self.wait_deployment(id, lambda d: d["state"] == "RUNNING", "it serves")
        self.assert_clean_load(load.stop())
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.cli("rollback", "greeter")
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")

    def test_its_evidence_survives_a_crash(self):
        load = self.start_greeter()
        id = self.deploy_detached(example("greeter-2"), "greeter", "--strategy", "shadow")
        self.wait_deployment(id, lambda d: int(d.get("shadow", {}).get("compared", 0)) > 200,
                             "some are compared", timeout=30)
        load.stop()
        harness.wait_until(lambda: self.server_evidence(id), "it is on the disk")
        before = int(self.deployment(id)["shadow"]["compared"])
        self.current.kill()
        self.current.start()
        after = self.wait_deployment(id, lambda d: "shadow" in d, "it goes on")
        # A second of it may be missing.
        self.assertGreater(int(after["shadow"]["compared"]), 0)
        self.assertLessEqual(int(after["shadow"]["compared"]), before)
        self.cli("deployment", "abort", id)

    def server_evidence(self, id):
        return int(self.cli_json("deployment", "explain", id)["evidenceCount"]) > 0

    def test_nothing_to_shadow(self):
        self.server()
        self.refused("deploy", example("greeter-1"), "--name", "greeter", "--strategy", "shadow",
                     code=REFUSED, says=["nothing to shadow"])

    def test_no_message_is_inconclusive(self):
        self.server("--dev", "--time-scale", "600")
        self.deploy(example("greeter-1"), "greeter")
        self.deploy(example("greeter-2"), "greeter", "--strategy", "shadow", code=INCONCLUSIVE)


class Group(harness.CaxtonTest):
    def group(self, number, module=None):
        """greeter in version `number` and echo with a setting, in one file."""
        path = self.folder / f"group-{number}.yaml"
        path.write_text(f"- agent: greeter\n  module: {example(f'greeter-{number}')}\n"
                        f"- agent: echo\n  module: {module or example('echo')}\n"
                        f"  settings: {{ number: {number} }}\n")
        return str(path)

    def test_two_agents_in_one_switch(self):
        self.server()
        self.cli("deploy", "-f", self.group(1))
        self.cli("deploy", "-f", self.group(2))
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")
        self.assertEqual(self.agent("echo")["stable"]["settings"]["number"], "2")
        self.assertEqual(len(self.deployment("greeter")["group"]), 2)

    def test_one_that_is_rejected_takes_the_other_with_it(self):
        self.server()
        self.cli("deploy", "-f", self.group(1))
        bad = self.folder / "bad.wasm"
        bad.write_bytes(b"no module")
        path = self.group(2, bad)
        out = self.run_cli("deploy", "-f", path)
        self.assertIn(out.code, (harness.REJECTED, ROLLED_BACK), out)
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        self.assertEqual(self.request("echo", "x"), "x")
        self.assertEqual(self.deployment("echo")["state"], "FAILED")
        self.wait_deployment("greeter", lambda d: d["state"] == "ROLLED_BACK", "the other ends too")
        self.refused("deploy", "-f", path, "--version", "3", code=harness.USAGE,
                     says=["--version"])


class Limit(harness.CaxtonTest):
    def test_more_deployments_than_places_wait(self):
        self.server("--max-deployments", "1")
        self.deploy(example("greeter-1"), "greeter")
        self.deploy(example("echo"), "echo")
        first = self.deploy_detached(example("greeter-2"), "greeter", "--stages", "50:30m")
        second = self.deploy_detached(example("echo"), "echo", "--set", "a=b", "--stages", "50:30m")
        waiting = self.deployment(second)
        self.assertTrue(waiting["queued"])
        self.assertIn("place", waiting["message"])
        self.cli("deployment", "abort", first)
        self.wait_deployment(second, lambda d: "canary" in d["stageName"], "its turn has come")


class BrokenStable(harness.CaxtonTest):
    def test_a_broken_stable_does_not_block_its_own_fix(self):
        self.server("--dev", "--time-scale", "60")
        self.deploy(example("greeter-2-trapping"), "greeter", "--set", "trap_percent=100")
        load = self.load("greeter", "--send", "--rate", "300", "--keys", "5000")
        self.deploy(example("greeter-2"), "greeter", "--stages", "50:3m", "--rollback-on",
                    "error_rate>1%")
        load.stop()
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 2)")


if __name__ == "__main__":
    harness.main()

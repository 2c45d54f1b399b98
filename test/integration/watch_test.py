#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`caxton deployment watch --output json`: each transition once and in order, numbers that grow."""
import json
import subprocess

import harness
from harness import DONE, ROLLED_BACK, example, seconds

SCALE = ("--dev", "--time-scale", "60")


class Watching:
    """A watch that runs: its events go to a file, so that they can be read meanwhile."""

    def __init__(self, test, id):
        self._path = test.folder / "events"
        with open(self._path, "w") as out:
            self._process = subprocess.Popen(
                [str(harness.CAXTON), "deployment", "watch", id, "--output", "json"], stdout=out,
                env=test.environment())
        test.addCleanup(self._process.wait)
        test.addCleanup(self._process.kill)

    def events(self):
        return [json.loads(line) for line in self._path.read_text().splitlines(keepends=True)
                if line.endswith("\n")]

    def wait(self):
        """Its exit status and all events."""
        return self._process.wait(harness.COMMAND_SECONDS), self.events()


def count(deployment, arm):
    return int(deployment.get(arm, {}).get("count", 0))


class Watch(harness.CaxtonTest):
    def watch_canary(self, path, *options):
        """The load, and a watch that was there before the canary began."""
        self.server(*SCALE)
        self.deploy(example("greeter-1"), "greeter")
        before = self.deploy_detached(example("greeter-1"), "greeter", "--force", "--stages",
                                      "50:60m")
        id = self.deploy_detached(path, "greeter", "--stages", "10:2m,50:2m", *options)
        self.assertTrue(self.deployment(id)["queued"])
        watching = Watching(self, id)
        harness.wait_until(watching.events, "the watch's first event")
        load = self.load("greeter", "--request", "--rate", "600", "--keys", "0")
        self.cli("deployment", "abort", before)  # its turn
        return load, watching

    def check(self, events, order):
        """`events` show the steps of `order`, each once, and numbers that never fall."""
        deployments = [e["deployment"] for e in events]
        self.assertTrue(events[0]["transition"])  # what it found
        self.assertEqual([e["last"] for e in events], [False] * (len(events) - 1) + [True])
        seen = []
        for event, old, new in zip(events[1:], deployments, deployments[1:]):
            if new["stageName"] == old["stageName"]:
                self.assertGreaterEqual(seconds(new["stageElapsed"]), seconds(old["stageElapsed"]))
            if (new["state"], new["stageName"]) != (old["state"], old["stageName"]):
                self.assertTrue(event["transition"])
                seen.append((new["state"], new["stageName"]))
            for arm in ("candidate", "stable"):
                self.assertGreaterEqual(count(new, arm), count(old, arm))
        self.assertEqual(seen, order)

    def test_one_that_is_promoted(self):
        load, watching = self.watch_canary(example("greeter-2"), "--rollback-on", "error_rate>50%")
        code, events = watching.wait()
        self.assert_clean_load(load.stop())
        self.assertEqual(code, DONE)
        self.check(events, [("VALIDATING", "validate"), ("DEPLOYING", "warm_up"),
                            ("DEPLOYING", "canary 10%"), ("DEPLOYING", "canary 50%"),
                            ("RUNNING", "cleanup")])
        # In each stage they grow while nothing else happens.
        for stage in ("canary 10%", "canary 50%"):
            counts = [count(e["deployment"], "candidate") for e in events
                      if e["deployment"]["stageName"] == stage]
            self.assertGreater(counts[-1], counts[0], counts)
        self.assertTrue(any(not e["transition"] for e in events))

    def test_one_that_is_rolled_back(self):
        load, watching = self.watch_canary(example("greeter-2-trapping"), "--set",
                                           "trap_percent=30", "--rollback-on", "error_rate>1%")
        code, events = watching.wait()
        self.assert_clean_load(load.stop())
        self.assertEqual(code, ROLLED_BACK)
        last = events[-1]["deployment"]
        self.assertEqual((last["state"], last["verdict"]["kind"]), ("ROLLED_BACK", "FAILED"))
        self.assertGreater(int(last["candidate"]["errors"]), 0)
        self.check(events, [("VALIDATING", "validate"), ("DEPLOYING", "warm_up"),
                            ("DEPLOYING", "canary 10%"), ("ROLLED_BACK", "")])


if __name__ == "__main__":
    harness.main()

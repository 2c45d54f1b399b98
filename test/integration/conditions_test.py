#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conditions of rollback_on that real workers must measure: memory, cpu, fuel and the ratio of
errors. Each takes back a version that breaks it, and leaves one alone that does not."""
import harness
from harness import DONE, ROLLED_BACK, example, module

SCALE = ("--dev", "--time-scale", "60")
LONG, SHORT = "50:30m", "50:1m"  # 30 s; a second, or two where too few messages came


class Conditions(harness.CaxtonTest):
    def start(self, name, path, *options):
        self.server(*SCALE)
        self.name = name
        self.deploy(path, name, *options)

    def canary(self, condition, path, *options, code, stages, rate=300):
        """The deployment as it stands when its canary has ended so."""
        load = self.load(self.name, "--send", "--rate", rate, "--keys", "0")
        self.deploy(path, self.name, "--stages", stages, "--rollback-on", condition, *options,
                    code=code)
        self.assert_clean_load(load.stop())
        self.assertEqual(self.wait_idle()["deadLettered"], 0)
        deployment = self.deployment(self.name)
        explained = self.cli_json("deployment", "explain", self.name)
        self.assertTrue(explained["matchesRecorded"], explained)
        return deployment

    def breaks(self, condition, path, *options, **more):
        done = self.canary(condition, path, *options, code=ROLLED_BACK, stages=LONG, **more)
        verdict = done["verdict"]
        self.assertEqual((done["state"], verdict["kind"]), ("ROLLED_BACK", "FAILED"))
        self.assertEqual([t["condition"] for t in verdict["tests"] if t["fired"]], [condition])
        self.assertIn(condition, verdict["reason"])
        return done

    def keeps(self, condition, path, *options, **more):
        done = self.canary(condition, path, *options, code=DONE, stages=SHORT, **more)
        self.assertEqual((done["state"], done["verdict"]["kind"]), ("RUNNING", "SUCCESSFUL"))
        test = next(t for t in done["verdict"]["tests"] if t["condition"] == condition)
        self.assertGreater(test["estimate"], 0)  # it was measured
        return done

    def test_memory(self):
        self.start("agent", module("misbehave"), "--set", "mode=fine")
        done = self.breaks("memory > 1Mi", module("misbehave"), "--set", "mode=leak")
        self.assertGreater(int(done["candidate"]["memoryBytes"]), 1 << 20)
        done = self.keeps("memory > 4Mi", module("misbehave"), "--set", "mode=leak")
        self.assertGreater(int(done["candidate"]["memoryBytes"]), 1 << 20)

    def test_cpu(self):
        # About 3 ms each, 50 a second.
        spinning = (example("greeter-2-slow"), "--set", "slow_percent=100", "--set", "spin=1000000")
        self.start("greeter", example("greeter-1"))
        done = self.breaks("cpu > 10m", *spinning, rate=100)
        self.assertGreater(done["candidate"]["cpuMillis"], 10)
        self.keeps("cpu > 8", *spinning, rate=200)

    def test_fuel_ratio(self):
        self.start("greeter", example("greeter-1"))
        done = self.breaks("fuel_ratio > 2", example("greeter-2-slow"), "--set", "slow_percent=100",
                           "--set", "spin=10000")
        self.assertGreater(done["candidate"]["meanFuel"], 2 * done["stable"]["meanFuel"])
        self.keeps("fuel_ratio > 2", example("greeter-2"))

    def test_error_ratio(self):
        kept = module("misbehave-reused")
        self.start("agent", kept, "--set", "mode=fine")
        self.breaks("error_ratio > 3", kept, "--set", "mode=stumble")
        # One that errs no more than stable does.
        self.cli("agent", "set", self.name, "--set", "mode=stumble")
        done = self.keeps("error_ratio > 3", kept, "--force")
        self.assertGreater(int(done["candidate"]["errors"]), 0)
        self.assertGreater(int(done["stable"]["errors"]), 0)


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A candidate with health_check: asked when warm, every ten seconds, and part of every stage."""
import time

import harness
from harness import FAILED, REFUSED, ROLLED_BACK, module


YAML = """deployment:
  strategy: blue-green
  stages:
    - warm_up: 3s
    - switch: instant
"""


class Health(harness.CaxtonTest):
    def setUp(self):
        super().setUp()
        self.server()
        self.deploy(module("health"), "agent")

    def ill(self, milliseconds_from_now):
        return "--set", f"ill_from={time.time_ns() + milliseconds_from_now * 1_000_000}"

    def test_who_is_ill_when_warm_gets_no_traffic(self):
        done = self.deploy_from(YAML, module("health"),
                                "agent", *self.ill(-1000), code=ROLLED_BACK)
        self.assertIn("health_check returned 7", done.err)
        agent = self.agent("agent")
        self.assertEqual(agent["stable"]["name"], "agent@1")
        self.assertEqual(agent["health"]["status"], "WELL")
        # Where nothing serves there is nothing to go back to.
        done = self.deploy_from(YAML, module("health"),
                                "first", *self.ill(-1000), code=FAILED)
        self.assertIn("health_check returned 7", done.err)

    def test_a_candidate_that_falls_ill_is_shown_and_not_promoted(self):
        id = self.deploy_detached(module("health"), "agent", "--stages", "10:1h,20:1h,50:1h", *self.ill(8000))
        self.wait_deployment(id, lambda d: "canary" in d["stageName"], "the canary runs")
        self.assertEqual(self.agent("agent")["candidateHealth"]["status"], "WELL")
        ill = harness.wait_until(
            lambda: (lambda a: a if a["candidateHealth"]["status"] == "DEGRADED" else None)(
                self.agent("agent")), "its second health check", timeout=60)
        self.assertIn("health_check returned 7", ill["candidateHealth"]["detail"])
        self.assertEqual(ill["health"]["status"], "WELL")
        self.assertIn("candidate degraded", self.cli("agent", "list").out)
        # The server looks once a second: at most one promotion comes before that.
        refused = harness.wait_until(
            lambda: (lambda r: r if r.code == REFUSED else None)(
                self.run_cli("deployment", "promote", id)), "a refusal", timeout=20, poll=1.2)
        self.assertIn("health_check returned 7", refused.err)
        self.assertIn("To fix:", refused.err)


if __name__ == "__main__":
    harness.main()

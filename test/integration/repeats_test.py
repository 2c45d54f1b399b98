#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that change something: one effect and one answer per idempotency key; etags."""
import base64
import threading

import harness
from harness import example, module, wait_until
from http_test import DEPLOYMENT, HttpTest, MESSAGING, SCALE

AGENTS = "caxton.v1.Agents"
STAGES = [{"kind": "CANARY", "weight": weight, "duration": "3600s", "pause": False}
          for weight in ("10%", "20%", "30%")] + [{"kind": "FULL"}]


class Repeats(HttpTest):
    def twice(self, procedure, **request):
        """The answer to a call and to its repeat, which must be the same."""
        first, second = self.call(procedure, **request), self.call(procedure, **request)
        self.assertNotEqual(first.pop("traceId"), second.pop("traceId"))
        self.assertEqual(first, second)
        return first

    def reused(self, procedure, **request):
        self.error(self.post(procedure, request), 400, "failed_precondition",
                   "IDEMPOTENCY_KEY_REUSED")

    def canary(self):
        self.start_greeter()
        made = self.deploy_http("greeter", example("greeter-2"), version="2.0.0",
                                spec={"strategy": "CANARY", "stages": STAGES,
                                      "rollbackOn": ["error_rate > 1%"]})["deploymentId"]
        self.stage(made, "canary 10%")
        return made

    def stage(self, deployment, name):
        def look():
            got = self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=deployment)["deployment"]
            return got if got["stageName"] == name else None
        return wait_until(look, f"{deployment} is in {name}")

    def test_steering(self):
        made = self.canary()
        self.twice(f"{DEPLOYMENT}/PromoteCanary", deploymentId=made, idempotencyKey="k")
        self.stage(made, "canary 20%")
        # The same key means another thing for another call; for this one it is taken.
        self.twice(f"{DEPLOYMENT}/PauseDeployment", deploymentId=made, idempotencyKey="k")
        self.twice(f"{DEPLOYMENT}/ResumeDeployment", deploymentId=made, idempotencyKey="k")
        self.reused(f"{DEPLOYMENT}/PromoteCanary", deploymentId=made, full=True, idempotencyKey="k")
        self.stage(made, "canary 20%")
        # A call that failed may be tried again under its key.
        wrong = {"deploymentId": made, "fromStage": "canary 30%", "idempotencyKey": "later"}
        for _ in range(2):
            self.error(self.post(f"{DEPLOYMENT}/PromoteCanary", wrong), 400, "failed_precondition",
                       "WRONG_STAGE")
        self.twice(f"{DEPLOYMENT}/AbortDeployment", deploymentId=made, idempotencyKey="k")
        self.wait_state(made, "ROLLED_BACK")
        retried = self.twice(f"{DEPLOYMENT}/RetryDeployment", deploymentId=made, idempotencyKey="r")
        self.assertNotEqual(retried["deploymentId"], made)
        self.error(self.post(f"{DEPLOYMENT}/PauseDeployment",
                             {"deploymentId": made, "idempotencyKey": "x" * 100_000}), 400,
                   "invalid_argument")

    def test_deploying(self):
        self.server(*SCALE)
        made = [self.deploy_http("greeter", example("greeter-1"), idempotencyKey="d")
                for _ in range(2)]
        self.assertEqual(made[0]["deploymentId"], made[1]["deploymentId"])
        self.wait_state(made[0]["deploymentId"], "RUNNING")
        with open(example("greeter-2"), "rb") as file:
            other = base64.b64encode(file.read()).decode()
        self.reused(f"{DEPLOYMENT}/DeployAgent", name="greeter", wasmModule=other,
                    idempotencyKey="d")
        # The journal keeps this key over a restart.
        self.current.stop()
        self.current.start()
        again = self.deploy_http("greeter", example("greeter-1"), idempotencyKey="d")
        self.assertEqual(again["deploymentId"], made[0]["deploymentId"])

    def test_a_rollback_does_not_go_further_back(self):
        self.start_greeter()
        for version, name in (("2", "greeter-2"), ("3", "greeter-2-slow")):
            made = self.deploy_http("greeter", example(name), version=version,
                                    spec={"cleanup": "0.01s"})["deploymentId"]
            wait_until(lambda: self.call(f"{DEPLOYMENT}/GetDeployment",
                                         deploymentId=made)["deployment"]["finalized"],
                       "the deployment is finalized")
        back = self.twice(f"{DEPLOYMENT}/RollbackDeployment", agent="greeter", idempotencyKey="b")
        self.assertEqual(back["fromRevision"], "greeter@3")
        agent = self.call(f"{AGENTS}/GetAgent", name="greeter")["agent"]
        self.assertEqual(back["toRevision"], (agent.get("candidate") or agent["stable"])["name"])

    def test_repeats_at_the_same_time(self):
        made = self.canary()
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            self.call(f"{DEPLOYMENT}/PromoteCanary", deploymentId=made, idempotencyKey="k")))
            for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({a["deployment"]["stageName"] for a in answers}, {"canary 20%"})
        self.stage(made, "canary 20%")

    def test_agents_and_dead_letters(self):
        self.server()
        self.deploy_from("delivery: { max_attempts: 1 }\n", module("misbehave"), "bad")
        self.cli("message", "send", "bad", "--data", "trap")
        wait_until(lambda: self.call(f"{MESSAGING}/ListDeadLetters")["deadLetters"], "a dead letter")
        dropped = self.twice(f"{MESSAGING}/DropDeadLetters", selection={"agent": "bad"},
                             idempotencyKey="k")
        self.assertEqual(dropped["dropped"], "1")
        self.cli("message", "send", "bad", "--data", "trap")
        wait_until(lambda: self.call(f"{MESSAGING}/ListDeadLetters")["deadLetters"], "a dead letter")
        retried = self.twice(f"{MESSAGING}/RetryDeadLetters", selection={"agent": "bad"},
                             idempotencyKey="k")
        self.assertEqual(retried["retried"], "1")
        changed = self.twice(f"{AGENTS}/SetAgent", name="bad", idempotencyKey="k",
                             overrides={"settings": {"mode": "well", "peer": "x", "a": "b"}})
        self.wait_state(changed["deploymentId"], "RUNNING")
        self.reused(f"{AGENTS}/SetAgent", name="bad", idempotencyKey="k",
                    overrides={"settings": {"mode": "trap"}})
        self.wait_idle()
        self.twice(f"{AGENTS}/RemoveAgent", name="bad", waiting="PURGE", idempotencyKey="k")
        self.assertEqual(self.call(f"{AGENTS}/ListAgents")["agents"], [])


class Etags(HttpTest):
    def test_what_changed_since_is_not_changed(self):
        first = self.start_greeter()
        agent = self.call(f"{AGENTS}/GetAgent", name="greeter")["agent"]
        made = self.deploy_http("greeter", example("greeter-2"), version="2.0.0",
                                spec={"strategy": "CANARY", "stages": STAGES})["deploymentId"]
        now = wait_until(lambda: (lambda d: d if d["stageName"] == "canary 10%" else None)(
            self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=made)["deployment"]), "canary")
        self.assertNotEqual(now["etag"], first["etag"])
        paused = self.call(f"{DEPLOYMENT}/PauseDeployment", deploymentId=made, etag=now["etag"])
        self.assertTrue(paused["deployment"]["paused"])
        for call in ("PauseDeployment", "ResumeDeployment", "AbortDeployment", "PromoteCanary"):
            self.error(self.post(f"{DEPLOYMENT}/{call}", {"deploymentId": made, "etag": now["etag"]}),
                       409, "aborted", "ETAG_MISMATCH")
        self.error(self.post(f"{DEPLOYMENT}/RollbackDeployment", {"agent": "greeter", "etag": "x"}),
                   409, "aborted", "ETAG_MISMATCH")
        stale = {"name": "greeter", "etag": agent["etag"]}
        self.error(self.post(f"{AGENTS}/RemoveAgent", stale), 409, "aborted", "ETAG_MISMATCH")
        self.error(self.post(f"{AGENTS}/SetAgent", stale), 409, "aborted", "ETAG_MISMATCH")
        fresh = paused["deployment"]["etag"]
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=made, etag=fresh)


if __name__ == "__main__":
    harness.main()

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

    def over_a_kill(self, procedure, **request):
        """The answer to a call and to its repeats after kill -9, which must be the same."""
        first = self.call(procedure, **request)
        first.pop("traceId")
        for _ in range(2):
            self.current.kill()
            self.current.start()
            again = self.call(procedure, **request)
            again.pop("traceId")
            self.assertEqual(first, again)
        return first

    def reused(self, procedure, differs=None, **request):
        answer = self.error(self.post(procedure, request), 400, "failed_precondition",
                            "IDEMPOTENCY_KEY_REUSED")
        if differs:
            self.assertTrue(answer.json()["message"].endswith(f"differs in {differs}"), str(answer))

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
        for length in (129, 100_000):
            answer = self.error(self.post(f"{DEPLOYMENT}/PauseDeployment",
                                          {"deploymentId": made, "idempotencyKey": "x" * length}),
                                400, "invalid_argument", "IDEMPOTENCY_KEY_TOO_LONG")
            violations = answer.detail("BadRequest")["debug"]["fieldViolations"]
            self.assertEqual([v["field"] for v in violations], ["idempotency_key"])

    def test_steering_over_a_kill(self):
        made = self.canary()
        self.over_a_kill(f"{DEPLOYMENT}/PromoteCanary", deploymentId=made, idempotencyKey="k")
        self.stage(made, "canary 20%")
        self.over_a_kill(f"{DEPLOYMENT}/PauseDeployment", deploymentId=made, idempotencyKey="k")
        self.call(f"{DEPLOYMENT}/ResumeDeployment", deploymentId=made)
        # A late repeat of the pause does not pause again.
        self.call(f"{DEPLOYMENT}/PauseDeployment", deploymentId=made, idempotencyKey="k")
        self.assertFalse(self.stage(made, "canary 20%")["paused"])
        self.over_a_kill(f"{DEPLOYMENT}/ResumeDeployment", deploymentId=made, idempotencyKey="k")
        self.reused(f"{DEPLOYMENT}/PromoteCanary", differs="full", deploymentId=made, full=True,
                    idempotencyKey="k")
        self.over_a_kill(f"{DEPLOYMENT}/AbortDeployment", deploymentId=made, idempotencyKey="k")
        self.wait_state(made, "ROLLED_BACK")
        retried = self.over_a_kill(f"{DEPLOYMENT}/RetryDeployment", deploymentId=made,
                                   idempotencyKey="k")
        listed = self.call(f"{DEPLOYMENT}/ListDeployments", agent="greeter")["deployments"]
        self.assertEqual(listed[0]["deploymentId"], retried["deploymentId"])
        self.assertEqual(len(listed), 3)

    def test_rollback_and_removal_over_a_kill(self):
        self.start_greeter()
        self.versions("greeter-2", "greeter-2-slow")
        back = self.over_a_kill(f"{DEPLOYMENT}/RollbackDeployment", agent="greeter",
                                idempotencyKey="b")
        self.assertEqual(back["fromRevision"], "greeter@3")
        self.assertEqual(len(self.call(f"{AGENTS}/AgentHistory", name="greeter")["entries"]), 4,
                         "it went back once")
        self.over_a_kill(f"{AGENTS}/RemoveAgent", name="greeter", idempotencyKey="b")
        made = self.deploy_http("greeter", example("greeter-1"))["deploymentId"]
        self.wait_state(made, "RUNNING")
        # The key's removal was of another agent, which had the same name.
        self.call(f"{AGENTS}/RemoveAgent", name="greeter", idempotencyKey="b")
        self.wait_state(made, "RUNNING")

    def test_deploying(self):
        self.server(*SCALE)
        made = [self.deploy_http("greeter", example("greeter-1"), idempotencyKey="d")
                for _ in range(2)]
        self.assertEqual(made[0]["deploymentId"], made[1]["deploymentId"])
        self.wait_state(made[0]["deploymentId"], "RUNNING")
        with open(example("greeter-2"), "rb") as file:
            other = base64.b64encode(file.read()).decode()
        for restart in (False, True):
            if restart:
                self.current.kill()
                self.current.start()
            self.reused(f"{DEPLOYMENT}/DeployAgent", differs="module_digest", name="greeter",
                        wasmModule=other, idempotencyKey="d")
            same = {"name": "greeter", "moduleDigest": made[0]["deployment"]["moduleDigest"],
                    "idempotencyKey": "d"}
            self.reused(f"{DEPLOYMENT}/DeployAgent", differs="spec", **same,
                        spec={"cleanup": "60s"})
            self.reused(f"{DEPLOYMENT}/DeployAgent", differs="name", **{**same, "name": "other"})
            again = self.call(f"{DEPLOYMENT}/DeployAgent", **same)
            self.assertEqual(again["deploymentId"], made[0]["deploymentId"])

    def test_a_retry_is_no_repeat_of_a_deployment_with_its_key(self):
        made = self.canary()
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=made)
        again = self.deploy_http("greeter", example("greeter-2"), version="2.0.1",
                                 idempotencyKey="k", spec={"strategy": "CANARY", "stages": STAGES})
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=again["deploymentId"])
        retried = self.twice(f"{DEPLOYMENT}/RetryDeployment", deploymentId=made, idempotencyKey="k")
        self.assertNotIn(retried["deploymentId"], (made, again["deploymentId"]))

    def test_groups(self):
        self.server(*SCALE)
        with open(module("misbehave"), "rb") as file:
            wasm = base64.b64encode(file.read()).decode()

        def group(**changes):
            deploy = [{"name": "a", "wasmModule": wasm}, {"name": "b", "wasmModule": wasm, **changes}]
            return {"deploy": deploy, "idempotencyKey": "g"}

        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            self.call(f"{DEPLOYMENT}/DeployAgents", **group()))) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual({a["deploymentId"] for a in answers}, {answers[0]["deploymentId"]})
        self.over_a_kill(f"{DEPLOYMENT}/DeployAgents", **group())
        self.reused(f"{DEPLOYMENT}/DeployAgents", differs="deploy", **group(version="2"))
        for made in self.call(f"{DEPLOYMENT}/ListDeployments", agent="b")["deployments"]:
            self.wait_state(made["deploymentId"], "RUNNING")
        self.assertEqual(len(self.call(f"{DEPLOYMENT}/ListDeployments")["deployments"]), 2)

    def versions(self, *names):
        """One after the other, each through its cleanup window."""
        for version, name in enumerate(names, start=2):
            made = self.deploy_http("greeter", example(name), version=str(version),
                                    spec={"cleanup": "0.01s"})["deploymentId"]
            wait_until(lambda: self.call(f"{DEPLOYMENT}/GetDeployment",
                                         deploymentId=made)["deployment"]["finalized"],
                       "the deployment is finalized")

    def test_a_rollback_does_not_go_further_back(self):
        self.start_greeter()
        self.versions("greeter-2", "greeter-2-slow")
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
        agent = self.call(f"{AGENTS}/GetAgent", name="greeter")["agent"]
        self.current.kill()
        self.current.start()
        again = self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=made)["deployment"]
        self.assertEqual(again["etag"], fresh, "a restart is no change")
        self.assertEqual(self.call(f"{AGENTS}/GetAgent", name="greeter")["agent"]["etag"],
                         agent["etag"])
        answers = []
        threads = [threading.Thread(target=lambda: answers.append(
            self.post(f"{DEPLOYMENT}/PromoteCanary", {"deploymentId": made, "etag": fresh}).status))
            for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(sorted(answers), [200] + [409] * 5)
        now = self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=made)["deployment"]
        self.assertEqual(now["stageName"], "canary 20%")
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=made, etag=now["etag"])


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""People and scripts steer one agent at the same time, while the judge decides, too.

Each round deploys a candidate that stumbles at every fourth message, and several clients command it
at once, in a random order. Every command must be answered, with what it did or why not; what is
left must be consistent; and of the messages meanwhile none is lost, doubled or out of order.
CAXTON_RACES_SEED repeats a run's choices (not its timing).
"""
import base64
import collections
import http.client
import json
import os
import pathlib
import random
import threading

import harness
from harness import module

SCALE = ("--dev", "--time-scale", "60")
KEPT = module("misbehave-reused")
CLIENTS = 6
ENDING_CLIENTS = 2  # of them
COMMANDS_EACH = 8
MOST_EVIDENCE = 11  # messages of the candidate, when a race begins: the judge needs a dozen
KEYS_EACH = 3  # idempotency keys of one kind of command and round: some commands are repeats
STAGES = [{"kind": "CANARY", "weight": "20%", "duration": "30s", "minSamples": "5"},
          {"kind": "CANARY", "weight": "60%", "duration": "60s", "minSamples": "5"}, {"kind": "FULL"}]
ROUNDS = ({"strategy": "CANARY", "stages": STAGES, "rollbackOn": ["error_rate > 1%"]},
          {"strategy": "DIRECT", "rollbackOn": ["error_rate > 1%"]},
          {"strategy": "SHADOW", "shadowDuration": "60s"},  # promote makes it serve
          {"strategy": "CANARY", "stages": STAGES, "rollbackOn": ["error_rate > 60%"]},
          {"strategy": "BLUE_GREEN", "rollbackOn": ["error_rate > 60%"], "queue": "REPLACE"})
# What a command may be told that came too early, too late, or beside another.
REFUSALS = {"failed_precondition", "aborted", "already_exists", "resource_exhausted"}
ENDED = {"FAILED", "ROLLED_BACK", "DRAINING"}


class Races(harness.CaxtonTest):
    def post(self, procedure, request):
        """(HTTP status, answer)"""
        host, _, port = self.current.http.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request("POST", f"/caxton.v1.AgentDeployment/{procedure}",
                               json.dumps(request), {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def must(self, procedure, **request):
        status, answer = self.post(procedure, request)
        self.assertEqual(status, 200, f"{procedure}: {answer}")
        return answer

    def deployments(self, **options):
        return self.must("ListDeployments", agent="agent", **options)["deployments"]

    @staticmethod
    def commands(id, number):
        """All there is to say about a deployment: {kind: (call, request)}."""
        target = {"deploymentId": id}
        kinds = {"promote": ("PromoteCanary", target),
                 "full": ("PromoteCanary", {**target, "full": True}),
                 "pause": ("PauseDeployment", target),
                 "resume": ("ResumeDeployment", target),
                 "abort": ("AbortDeployment", {**target, "reason": "a race"}),
                 "rollback": ("RollbackDeployment", {"agent": id}),
                 "back": ("RollbackDeployment", {"agent": "agent"}),
                 "drain": ("RollbackDeployment", {"agent": id, "drain": "1s"}),
                 "retry": ("RetryDeployment", target)}
        return {kind: (call, {**request, "idempotencyKey": f"{id}-{kind}-{number}"})
                for kind, (call, request) in kinds.items()}

    def wait_evidence(self, id, messages):
        """Until the judge has seen so many messages of the candidate, or has decided already."""
        def seen():
            deployment = self.must("GetDeployment", deploymentId=id)["deployment"]
            return (deployment["state"] in ENDED or
                    int(deployment.get("candidate", {}).get("count", 0)) >= messages)
        harness.wait_until(seen, "messages on the candidate", poll=0.005)

    def race(self, id, choose):
        """Several clients at once; returns [(kind, key, HTTP status, answer)]."""
        # Steering first, so that there is something to end, and few who end it.
        early = ["promote", "pause", "resume", "pause", "resume", "full"]
        late = ["abort", "rollback", "back", "drain", "retry", "retry", "promote"]
        plans = [choose.choices(early, k=COMMANDS_EACH // 2) +
                 choose.choices(late if number < ENDING_CLIENTS else early,
                                k=COMMANDS_EACH - COMMANDS_EACH // 2)
                 for number in range(CLIENTS)]
        answers, start = [], threading.Barrier(CLIENTS)

        def client(number, plan):
            start.wait()
            for kind in plan:
                call, request = self.commands(id, number % KEYS_EACH)[kind]
                try:
                    answers.append((kind, request["idempotencyKey"], *self.post(call, request)))
                except Exception as error:  # not answered: told below
                    answers.append((kind, request["idempotencyKey"], 0, {"code": repr(error)}))

        threads = [threading.Thread(target=client, args=plan) for plan in enumerate(plans)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), CLIENTS * COMMANDS_EACH)
        return answers

    def check_answers(self, answers):
        made = collections.defaultdict(set)
        for kind, key, status, answer in answers:
            if status == 200:
                made[key].add(answer["deploymentId"])
            else:
                self.assertIn(answer["code"], REFUSALS, f"{kind}: {answer}")
                self.assertTrue(answer["message"], f"{kind}: {answer}")
        # A repeat has the first one's answer: nothing was done twice.
        for key, ids in made.items():
            self.assertEqual(len(ids), 1, f"{key}: {ids}")

    def settle(self):
        """Ends what is still under way."""
        def none_active():
            active = self.deployments(activeOnly=True)
            for deployment in active:
                self.post("AbortDeployment", {"deploymentId": deployment["deploymentId"]})
            return not active
        harness.wait_until(none_active, "no deployment is under way")

    def snapshot(self):
        """Agent and deployments of one moment; None where the judge has decided meanwhile."""
        agent = self.agent("agent")
        deployments = self.deployments(pageSize=1000)
        return (agent, deployments) if self.agent("agent")["etag"] == agent["etag"] else None

    def check_consistent(self):
        """One revision serves, and the deployments say so."""
        agent, all = harness.wait_until(self.snapshot, "nothing changes between two looks")
        serving = [r["name"] for r in (agent.get("stable"), agent.get("candidate"))
                   if r and r["weightPercent"] > 0]
        self.assertEqual(len(serving), 1, agent)
        for deployment in all:
            self.assertIn(deployment["state"], ENDED | {"RUNNING"}, deployment["deploymentId"])
            if deployment["state"] in ENDED:
                self.assertNotEqual(deployment["revision"], serving[0], deployment["deploymentId"])
            if deployment["verdict"]["kind"] == "FAILED":
                explained = self.must("ExplainDeployment", deploymentId=deployment["deploymentId"])
                self.assertTrue(explained["matchesRecorded"], explained)
        running = [d["revision"] for d in all if d["state"] == "RUNNING"]
        self.assertEqual(running[0], serving[0])  # newest first; the others: kept for its cleanup
        self.assertEqual(self.status()["activeDeployments"], 0)
        return serving, [(d["deploymentId"], d["state"]) for d in all]

    def test_commands_and_judge_at_once(self):
        seed = int(os.environ.get("CAXTON_RACES_SEED", random.randrange(1 << 32)))
        choose = random.Random(seed)
        server = self.server(*SCALE)
        self.deploy(KEPT, "agent", "--set", "mode=fine")
        ledger = self.folder / "ledger"
        self.cli("message", "tail", "agent")  # from here on it is kept
        load = self.load("agent", "--send", "--rate", "400", "--keys", "40", "--ledger", ledger)
        wasm = base64.b64encode(pathlib.Path(KEPT).read_bytes()).decode()
        with self.subTest(seed=seed):
            for spec in ROUNDS:
                id = self.must("DeployAgent", name="agent", wasmModule=wasm, spec=spec, force=True,
                               overrides={"settings": {"mode": "stumble"}})["deploymentId"]
                if spec["strategy"] != "SHADOW":  # which handles no message of its own
                    self.wait_evidence(id, choose.randint(1, MOST_EVIDENCE))
                self.check_answers(self.race(id, choose))
                self.settle()
                self.check_consistent()
                self.cli("agent", "set", "agent", "--set", "mode=fine")
            self.settle()
            self.assert_clean_load(load.stop(), at_least=100)
            self.assertEqual(self.wait_idle()["deadLettered"], 0)
            tail = self.cli_json("load", "agent", "--send", "--ledger", ledger, "--keys", "40",
                                 "--verify-tail", "agent", "--expect-from-ledger")["tail"]
            self.assertEqual((tail["lost"], tail["doubled"], tail["outOfOrder"], tail["gap"]),
                             (0, 0, 0, False), tail)
            # And so it stands on the disk.
            before = self.check_consistent()
            server.kill()
            server.start()
            self.assertEqual(self.check_consistent(), before)


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The API as HTTP/JSON (Connect's unary form): calls, errors, and who may call."""
import base64
import http.client
import json
import pathlib
import re
import socket
import threading

import harness
from harness import example, module, wait_until

SCALE = ("--dev", "--time-scale", "60")
HALF = [{"kind": "CANARY", "weight": "50%", "duration": "3600s"}, {"kind": "FULL"}]
DEPLOYMENT = "caxton.v1.AgentDeployment"
MESSAGING = "caxton.v1.Messaging"
JSON = {"Content-Type": "application/json"}


class Answer:
    def __init__(self, response):
        self.status, self.headers, self.body = response.status, response.headers, response.read()

    def json(self):
        return json.loads(self.body)

    def detail(self, kind):
        return next(d for d in self.json()["details"] if d["type"] == f"google.rpc.{kind}")

    def __str__(self):
        return f"HTTP {self.status} {self.body[:2000]}"


class HttpTest(harness.CaxtonTest):
    def http(self, method, path, body=None, headers=None):
        host, _, port = self.current.http.rpartition(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=30)
        try:
            connection.request(method, path, body=body, headers=headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def post(self, procedure, request, headers=None):
        body = request if isinstance(request, (str, bytes)) else json.dumps(request)
        return self.http("POST", f"/{procedure}", body, {**JSON, **(headers or {})})

    def call(self, procedure, **request):
        """The answer to a call that must succeed."""
        answer = self.post(procedure, request)
        self.assertEqual(answer.status, 200, str(answer))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        return answer.json()

    def error(self, answer, status, code, reason=None):
        self.assertEqual(answer.status, status, str(answer))
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(answer.json()["code"], code, str(answer))
        if reason:
            self.assertEqual(answer.detail("ErrorInfo")["debug"]["reason"], reason, str(answer))
        return answer

    def deploy_http(self, name, path, procedure="DeployAgent", **fields):
        wasm = base64.b64encode(pathlib.Path(path).read_bytes()).decode()
        request = {"name": name, "wasmModule": wasm, **fields}
        if procedure != "DeployAgent":
            request = {"deploy": request}
        return self.call(f"{DEPLOYMENT}/{procedure}", **request)

    def wait_state(self, deployment, *states):
        def look():
            got = self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=deployment)["deployment"]
            return got if got["state"] in states else None
        return wait_until(look, f"{deployment} is {' or '.join(states)}")

    def start_greeter(self):
        self.server(*SCALE)
        made = self.deploy_http("greeter", example("greeter-1"), version="1.0.0")
        return self.wait_state(made["deploymentId"], "RUNNING")


class Calls(HttpTest):
    def ask(self, data, **fields):
        envelope = {"receiver": "greeter", "content": base64.b64encode(data.encode()).decode()}
        return self.call(f"{MESSAGING}/Request", envelope={**envelope, **fields})

    def test_messages(self):
        self.start_greeter()
        reply = self.ask("Ada")
        self.assertEqual(base64.b64decode(reply["reply"]["content"]), b"Hello, Ada! (greeter 1)")
        self.assertEqual(reply["revision"], "greeter@1")
        sent = [self.call(f"{MESSAGING}/Send", envelope={
            "receiver": "greeter", "content": "eA==", "idempotencyKey": "k"}) for _ in range(2)]
        self.assertEqual(sent[0]["messageId"], sent[1]["messageId"])
        self.assertEqual([s["duplicate"] for s in sent], [False, True])
        self.assertEqual(self.call(f"{MESSAGING}/ListDeadLetters")["deadLetters"], [])

    def test_pages(self):
        self.server()
        for name in ("a", "b", "c"):
            made = self.deploy_http(name, module("misbehave"))["deploymentId"]
            self.wait_state(made, "RUNNING")
        agents, deployments = "caxton.v1.Agents/ListAgents", f"{DEPLOYMENT}/ListDeployments"
        for call, entries, order in ((agents, "agents", ["a", "b", "c"]),
                                     (deployments, "deployments", ["c", "b", "a"])):
            seen, token = [], ""
            while True:
                page = self.call(call, pageSize=2, pageToken=token)
                seen += [e.get("name") or e["agent"] for e in page[entries]]
                token = page.get("nextPageToken")
                if not token:
                    break
                last = token
            self.assertEqual(seen, order)
            wrong = [({"pageSize": -1}, "page_size"), ({"pageToken": "x"}, "page_token"),
                     ({"pageToken": "dep-2"}, "page_token"),
                     ({"pageToken": last[:-1] + "z"}, "page_token")]
            for request, field in wrong:
                answer = self.error(self.post(call, request), 400, "invalid_argument")
                violations = answer.detail("BadRequest")["debug"]["fieldViolations"]
                self.assertEqual([v["field"] for v in violations], [field])
        # A token goes on with the list that gave it out, not with another.
        self.error(self.post(agents, {"pageToken": last}), 400, "invalid_argument")
        self.error(self.post(deployments, {"pageToken": last, "agent": "a"}), 400,
                   "invalid_argument")
        for call in ("caxton.v1.Agents/AgentHistory", f"{MESSAGING}/ListDeadLetters"):
            self.error(self.post(call, {"pageSize": -5}), 400, "invalid_argument")

    def test_a_deadline_in_the_past(self):
        self.start_greeter()
        for call in ("Send", "Request"):
            answer = self.error(self.post(f"{MESSAGING}/{call}", {"envelope": {
                "receiver": "greeter", "content": "eA==", "deadline": "1970-01-02T00:00:00Z"}}),
                504, "deadline_exceeded", "EXPIRED")
            self.assertIn("deadline", answer.json()["message"])

    def test_good_canary_is_steered(self):
        self.start_greeter()
        made = self.deploy_http(
            "greeter", example("greeter-2"), "CreateCanaryDeployment", version="2.0.0",
            spec={"stages": HALF, "rollbackOn": ["error_rate > 1%"]})
        target = {"deploymentId": made["deploymentId"]}
        self.assertEqual(made["deployment"]["strategy"], "CANARY")
        wait_until(lambda: self.call(f"{DEPLOYMENT}/GetDeployment",
                                     **target)["deployment"]["stageName"] == "canary 50%",
                   "the canary's stage")
        self.assertTrue(self.call(f"{DEPLOYMENT}/PauseDeployment", **target)["deployment"]["paused"])
        self.assertFalse(
            self.call(f"{DEPLOYMENT}/ResumeDeployment", **target)["deployment"]["paused"])
        listed = self.call(f"{DEPLOYMENT}/ListDeployments", agent="greeter")["deployments"]
        self.assertEqual([d["deploymentId"] for d in listed][0], made["deploymentId"])
        self.call(f"{DEPLOYMENT}/PromoteCanary", full=True, **target)
        self.wait_state(made["deploymentId"], "RUNNING")
        self.assertEqual(self.ask("Ada")["revision"], "greeter@2")
        back = self.call(f"{DEPLOYMENT}/RollbackDeployment", agent="greeter")
        self.assertEqual((back["fromRevision"], back["toRevision"]), ("greeter@2", "greeter@1"))
        self.assertEqual(self.ask("Ada")["revision"], "greeter@1")
        agents = self.call("caxton.v1.Agents/ListAgents")["agents"]
        self.assertEqual(agents[0]["stable"]["name"], "greeter@1")

    def test_bad_canary_is_rolled_back_and_one_aborted(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "300", "--keys", "500")
        spec = {"strategy": "CANARY", "stages": HALF, "rollbackOn": ["error_rate > 1%"]}
        bad = self.deploy_http("greeter", example("greeter-2-trapping"), version="bad", spec=spec)
        ended = self.wait_state(bad["deploymentId"], "ROLLED_BACK")
        self.assertEqual(ended["verdict"]["kind"], "FAILED")
        explained = self.call(f"{DEPLOYMENT}/ExplainDeployment", deploymentId=bad["deploymentId"])
        self.assertTrue(explained["matchesRecorded"])
        self.assert_clean_load(load.stop(), at_least=50)
        good = self.deploy_http("greeter", example("greeter-2"), version="2.0.0", spec=spec)
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=good["deploymentId"])
        self.assertTrue(self.wait_state(good["deploymentId"], "ROLLED_BACK")["aborted"])

    def test_trace_and_status(self):
        self.server()
        trace = "0af7651916cd43dd8448eb211c80319c"
        answer = self.post("caxton.v1.Server/GetServerStatus", {},
                           {"traceparent": f"00-{trace}-b7ad6b7169203331-01"})
        self.assertEqual(answer.json()["traceId"], trace)
        self.assertEqual(answer.headers["traceparent"].split("-")[1], trace)
        answer = self.post("caxton.v1.Server/GetServerStatus", {})
        self.assertEqual(answer.headers["traceparent"].split("-")[1], answer.json()["traceId"])

    def test_a_slow_call_ends_by_its_deadline_and_metrics_are_answered(self):
        self.server()
        self.deploy(harness.module("misbehave"), "slow")
        loop = {"envelope": {"receiver": "slow", "content": base64.b64encode(b"loop").decode()}}
        answers = []

        def ask():
            answers.append(
                self.post(f"{MESSAGING}/Request", loop, {"Connect-Timeout-Ms": "300"}))

        threads = [threading.Thread(target=ask) for _ in range(20)]
        for thread in threads:
            thread.start()
        self.assertEqual(self.http("GET", "/healthz").status, 200)
        self.assertEqual(self.http("GET", "/metrics").status, 200)
        for thread in threads:
            thread.join()
        self.assertEqual(len(answers), 20)
        for answer in answers:
            self.assertIn(answer.json()["code"], ("deadline_exceeded", "resource_exhausted"))
        self.assertTrue(any(a.status == 504 for a in answers))
        self.assertEqual(self.current.stop(), 0)


class Deployments(HttpTest):
    """The calls of AgentDeployment that no test above makes."""

    def wasm(self, path):
        return base64.b64encode(pathlib.Path(path).read_bytes()).decode()

    def ask(self, agent, data, **more):
        envelope = {"receiver": agent, "content": base64.b64encode(data.encode()).decode()}
        return self.call(f"{MESSAGING}/Request", envelope=envelope, **more)["revision"]

    def test_none_is_left_out(self):
        proto = (harness.ROOT / "proto/caxton/v1/deployment.proto").read_text()
        unary = re.findall(r"rpc (\w+)\(\w+\) returns \(\w+\)", proto)
        self.assertGreater(len(unary), 10)
        here = pathlib.Path(__file__).read_text()
        for name in unary:
            self.assertRegex(here, rf'/{name}"|"{name}"', "a call that no test makes")

    def test_validate(self):
        self.start_greeter()
        report = self.call(f"{DEPLOYMENT}/ValidateAgent", name="greeter",
                           wasmModule=self.wasm(example("greeter-2")))["report"]
        self.assertTrue(report["passed"], report)
        self.assertEqual([(s["stage"], s["ran"], s["passed"]) for s in report["stages"]],
                         [(stage, True, True)
                          for stage in ("static", "sandbox", "contracts", "resources")])
        # By the digest of what runs; and as one that cannot be that agent.
        digest = self.call("caxton.v1.Agents/GetAgent", name="greeter")["agent"]["stable"][
            "moduleDigest"]
        again = self.call(f"{DEPLOYMENT}/ValidateAgent", name="greeter", moduleDigest=digest)
        self.assertTrue(again["report"]["passed"], again)
        other = self.call(f"{DEPLOYMENT}/ValidateAgent", name="other", moduleDigest=digest)["report"]
        self.assertFalse(other["passed"], other)
        finding = other["stages"][0]["findings"][0]
        self.assertEqual((finding["error"], finding["reason"]), (True, "NAME_MISMATCH"))
        self.assertIn("--name greeter", finding["fix"])
        self.error(self.post(f"{DEPLOYMENT}/ValidateAgent", {"name": "greeter"}), 400,
                   "invalid_argument")
        listed = self.call(f"{DEPLOYMENT}/ListDeployments")["deployments"]
        self.assertEqual(len(listed), 1)  # it changed nothing

    def test_blue_green(self):
        self.start_greeter()
        made = self.deploy_http("greeter", example("greeter-2"), "CreateBlueGreenDeployment",
                                version="2.0.0", spec={"preview": True})
        self.assertEqual(made["deployment"]["strategy"], "BLUE_GREEN")
        id = made["deploymentId"]
        waiting = wait_until(
            lambda: (d := self.call(f"{DEPLOYMENT}/GetDeployment", deploymentId=id)["deployment"])
            and d["previewReady"] and d, "the preview is ready")
        self.assertEqual((waiting["state"], waiting["weightPercent"]), ("DEPLOYING", 0))
        self.assertEqual(self.ask("greeter", "Ada"), "greeter@1")
        self.call(f"{DEPLOYMENT}/PromoteCanary", deploymentId=id, fromStage=waiting["stageName"])
        self.wait_state(id, "RUNNING")
        self.assertEqual(self.ask("greeter", "Ada"), "greeter@2")
        # Another strategy in the spec than in the call's name.
        answer = self.post(f"{DEPLOYMENT}/CreateBlueGreenDeployment", {"deploy": {
            "name": "greeter", "wasmModule": self.wasm(example("greeter-1")),
            "spec": {"strategy": "CANARY"}}})
        self.error(answer, 400, "invalid_argument")

    def test_shadow(self):
        self.start_greeter()
        load = self.load("greeter", "--request", "--rate", "200", "--keys", "100")
        made = self.deploy_http("greeter", example("greeter-2"), "CreateShadowDeployment",
                                version="2.0.0",
                                spec={"shadowDuration": "60s", "shadowFailOn": ["differs > 1%"]})
        self.assertEqual(made["deployment"]["strategy"], "SHADOW")
        done = self.wait_state(made["deploymentId"], "ROLLED_BACK", "DRAINING")
        self.assert_clean_load(load.stop())
        self.assertEqual(done["state"], "ROLLED_BACK")
        self.assertGreater(int(done["shadow"]["differing"]), 0)
        self.assertEqual(self.ask("greeter", "Ada"), "greeter@1")

    def test_retry(self):
        self.start_greeter()
        first = self.deploy_http("greeter", example("greeter-2"), version="2.0.0",
                                 spec={"strategy": "CANARY", "stages": HALF})["deploymentId"]
        retry = {"deploymentId": first, "idempotencyKey": "once"}
        self.error(self.post(f"{DEPLOYMENT}/RetryDeployment", retry), 400, "failed_precondition",
                   "NOT_ENDED")
        self.call(f"{DEPLOYMENT}/AbortDeployment", deploymentId=first, reason="by test")
        self.wait_state(first, "ROLLED_BACK")
        retry["idempotencyKey"] = "once more"
        again = [self.call(f"{DEPLOYMENT}/RetryDeployment", **retry)["deploymentId"]
                 for _ in range(2)]
        self.assertEqual(again[0], again[1])
        self.assertNotEqual(again[0], first)
        self.call(f"{DEPLOYMENT}/PromoteCanary", deploymentId=again[0], full=True,
                  fromStage=wait_until(
                      lambda: (d := self.call(f"{DEPLOYMENT}/GetDeployment",
                                              deploymentId=again[0])["deployment"])
                      and d["state"] == "DEPLOYING" and "canary" in d["stageName"] and
                      d["stageName"], "its canary"))
        self.wait_state(again[0], "RUNNING")
        # The name of its version was free again with the first one's end.
        self.assertEqual(self.call("caxton.v1.Agents/GetAgent", name="greeter")["agent"]["stable"][
            "version"], "2.0.0")

    def test_several_agents(self):
        self.start_greeter()
        wanted = [{"name": name, "wasmModule": self.wasm(example(module))}
                  for name, module in (("greeter", "greeter-2"), ("echo", "echo"))]
        made = self.call(f"{DEPLOYMENT}/DeployAgents", deploy=wanted, idempotencyKey="group")
        ids = [d["deploymentId"] for d in made["deployments"]]
        self.assertEqual(made["deploymentId"], ids[0])
        for deployment, agent in zip(made["deployments"], ("greeter", "echo")):
            self.assertEqual((deployment["agent"], sorted(deployment["group"])), (agent, sorted(ids)))
        for id in ids:
            self.wait_state(id, "RUNNING")
        self.assertEqual([self.ask("greeter", "x"), self.ask("echo", "x")], ["greeter@2", "echo@1"])
        again = self.call(f"{DEPLOYMENT}/DeployAgents", deploy=wanted)
        self.assertEqual(sorted(again["alreadyRunning"]), ["echo", "greeter"])
        self.assertEqual(again["deployments"], [])

    def test_streams_are_refused_by_name(self):
        self.server()
        for name in ("WatchDeployment", "UploadModule"):
            self.error(self.post(f"{DEPLOYMENT}/{name}", {}), 501, "unimplemented", "STREAM")


class Errors(HttpTest):
    def setUp(self):
        super().setUp()
        self.server()

    def test_details(self):
        answer = self.error(self.post(f"{DEPLOYMENT}/GetDeployment", {"deploymentId": "nobody"}),
                            404, "not_found", "NO_SUCH_AGENT")
        detail = answer.detail("ErrorInfo")
        self.assertIn("caxton agent list", detail["debug"]["metadata"]["fix"])
        padded = detail["value"] + "=" * (-len(detail["value"]) % 4)
        self.assertIn(b"NO_SUCH_AGENT", base64.b64decode(padded))
        self.assertIn("nobody", answer.json()["message"])

    def test_bad_bodies(self):
        procedure = f"{DEPLOYMENT}/DeployAgent"
        self.error(self.post(procedure, '{"name": '), 400, "invalid_argument", "BAD_JSON")
        self.error(self.post(procedure, '{"wasmModule": "%%%"}'), 400, "invalid_argument", "BAD_JSON")
        answer = self.error(self.post(procedure, {"spec": {"stratgy": "CANARY"}}), 400,
                            "invalid_argument", "UNKNOWN_FIELD")
        self.assertIn("spec.stratgy", answer.json()["message"])
        violation = answer.detail("BadRequest")["debug"]["fieldViolations"][0]
        self.assertEqual(violation["field"], "spec.stratgy")

    def test_heads(self):
        status = "caxton.v1.Server/GetServerStatus"
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            answer = self.post(status, "{}", {"Content-Type": kind})
            self.error(answer, 415, "invalid_argument", "WRONG_CONTENT_TYPE")
            self.assertIn("application/json", answer.headers["Accept-Post"])
        self.error(self.post("caxton.v1.Server/Nothing", {}), 404, "unimplemented",
                   "NO_SUCH_PROCEDURE")
        self.error(self.post("metrics", {}), 404, "unimplemented")
        self.error(self.post("grpc.health.v1.Health/Check", {}), 404, "unimplemented")
        self.error(self.post(f"{MESSAGING}/Exchange", {}), 501, "unimplemented", "STREAM")
        self.error(self.post(status, {}, {"Connect-Timeout-Ms": "soon"}), 400, "invalid_argument")
        self.error(self.post(status, {}, {"Connect-Protocol-Version": "9"}), 400,
                   "invalid_argument")
        self.error(self.post(status, {}, {"Content-Encoding": "gzip"}), 501, "unimplemented")
        for method in ("GET", "PUT", "DELETE", "OPTIONS"):
            answer = self.http(method, f"/{status}")
            self.assertEqual((answer.status, answer.headers["Allow"]), (405, "POST"), str(answer))
        self.assertIsNone(answer.headers["Access-Control-Allow-Origin"])
        self.assertEqual(self.http("GET", "/nothing").status, 404)

    def test_a_body_that_is_too_long(self):
        answer = self.http("POST", "/caxton.v1.Server/GetServerStatus", headers={
            **JSON, "Content-Length": str(1 << 40)}, body=b"")
        self.error(answer, 429, "resource_exhausted", "BODY_NOT_READ")


    def test_slow_senders_do_not_hold_the_port(self):
        host, _, port = self.current.http.rpartition(":")
        head = (f"POST /caxton.v1.Server/GetServerStatus HTTP/1.1\r\nHost: {self.current.http}\r\n"
                "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{").encode()
        for _ in range(40):
            connection = socket.create_connection((host, int(port)), timeout=10)
            self.addCleanup(connection.close)
            connection.sendall(head)
        # Well before the port gives up on them.
        connection = http.client.HTTPConnection(host, int(port), timeout=3)
        connection.request("GET", "/healthz")
        self.assertEqual(connection.getresponse().status, 200)
        connection.close()


class Sites(HttpTest):
    """Who may call: no page of another site, by whatever name it reaches the port."""
    STATUS = "caxton.v1.Server/GetServerStatus"

    def setUp(self):
        super().setUp()
        self.server()

    def test_hosts_and_origins(self):
        own = self.current.http
        port = own.rpartition(":")[2]
        for headers in ({"Host": "evil.example"}, {"Host": f"evil.example:{port}"},
                        {"Host": "127.0.0.1.evil.example"}, {"Origin": "http://evil.example"},
                        {"Origin": "null"}, {"Origin": f"https://{own}"},
                        {"Origin": "http://127.0.0.1:1"}, {"Sec-Fetch-Site": "cross-site"},
                        {"Sec-Fetch-Site": "same-site"}):
            answer = self.post(self.STATUS, {}, headers)
            self.assertEqual(answer.status, 403, f"{headers}: {answer}")
        for headers in ({"Host": own, "Origin": f"http://{own}", "Sec-Fetch-Site": "same-origin"},
                        {"Host": f"localhost:{port}", "Origin": f"http://localhost:{port}"},
                        {"Sec-Fetch-Site": "none"}):
            answer = self.post(self.STATUS, {}, headers)
            self.assertEqual(answer.status, 200, f"{headers}: {answer}")
        self.assertEqual(self.http("GET", "/metrics", headers={"Host": "evil.example"}).status, 403)

    def test_a_refused_body_is_no_second_request(self):
        """A page may send any body as text/plain. It must not be taken for a request of its own."""
        host, _, port = self.current.http.rpartition(":")
        inner = (f"POST /{self.STATUS} HTTP/1.1\r\nHost: {self.current.http}\r\n"
                 "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{}").encode()
        for outer_host, extra in (("evil.example", ""), (self.current.http,
                                                         "Origin: http://evil.example\r\n")):
            head = (f"POST /{self.STATUS} HTTP/1.1\r\nHost: {outer_host}\r\n{extra}"
                    f"Content-Type: text/plain\r\nContent-Length: {len(inner)}\r\n\r\n").encode()
            with socket.create_connection((host, int(port)), timeout=10) as connection:
                connection.sendall(head + inner)
                answer = b""
                try:
                    while chunk := connection.recv(65536):
                        answer += chunk
                except ConnectionResetError:
                    pass
            self.assertEqual(answer.count(b"HTTP/1.1 "), 1, answer)
            self.assertIn(b"HTTP/1.1 403", answer)


class Previews(HttpTest):
    def test_a_header_asks_for_the_one_that_waits(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        self.deploy(example("greeter-2"), "greeter", "--preview")
        request = {"envelope": {"receiver": "greeter", "performative": "REQUEST",
                                "content": base64.b64encode(b"Ada").decode()}}
        for header, revision in ((None, "greeter@1"), ("true", "greeter@2"), ("false", "greeter@1")):
            headers = {"Caxton-Preview": header} if header else {}
            answer = self.post(f"{MESSAGING}/Request", request, headers)
            self.assertEqual(answer.status, 200, str(answer))
            self.assertEqual(answer.json()["revision"], revision)
        self.error(self.post(f"{MESSAGING}/Request", request, {"Caxton-Preview": "yes"}), 400,
                   "invalid_argument", "WRONG_HEADER")
        self.error(self.post(f"{MESSAGING}/Request", {**request, "revision": 2},
                             {"Caxton-Preview": "true"}), 400, "invalid_argument",
                   "PREVIEW_AND_REVISION")


class Reasons(HttpTest):
    def test_an_impossible_plan_names_its_field(self):
        self.server()
        stages = [{"kind": "CANARY", "weight": "50%"}, {"kind": "CANARY", "weight": "25%"}]
        wasm = base64.b64encode(pathlib.Path(example("greeter-1")).read_bytes()).decode()
        answer = self.error(self.post(f"{DEPLOYMENT}/DeployAgent", {
            "name": "greeter", "wasmModule": wasm, "spec": {"strategy": "CANARY", "stages": stages}}),
            400, "invalid_argument", "IMPOSSIBLE_PLAN")
        violations = answer.detail("BadRequest")["debug"]["fieldViolations"]
        self.assertIn("spec.stages", violations[0]["field"])

    def test_every_error_has_a_reason(self):
        self.server()
        self.error(self.post(f"{MESSAGING}/RetryDeadLetters", {}), 400, "invalid_argument",
                   "INVALID_ARGUMENT")

    def test_why_something_was_taken_back_is_on_record(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        self.deploy(example("greeter-2"), "greeter", "--preview")
        self.cli("deployment", "abort", "greeter", "--reason", "the phone rings")
        self.assertEqual(self.deployment("greeter")["message"], "the phone rings")
        self.deploy(example("greeter-2"), "greeter", "--set", "greeting=Hi")
        self.cli("rollback", "greeter", "--reason", "and rings")
        self.assertEqual(self.deployment("greeter")["message"], "and rings")


if __name__ == "__main__":
    harness.main()

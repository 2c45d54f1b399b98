#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Faulty modules are deployed onto an agent under load: each is refused, and nobody notices."""
import corpus
import harness
from harness import REJECTED, example

AGENT = "corpus"  # as the modules' manifests have it
RATE = 200
# Each takes seconds: the limit of initialization, or of the samples together.
SLOW = ["initialize-loops", "init-loops-with-calls", "alloc-loops", "sample-logs-for-ever"]
SLOW_RATE = 50
# They need more memory, or processor time, than there is, on any machine.
BOMBS = ["bomb-nested-loops", "bomb-one-function"]
BOMB_SECONDS = 12


class DeployedUnderLoad(harness.CaxtonTest):
    def refuse(self, row, *options):
        """Deploys it; what is wrong with the refusal."""
        result = self.run_cli("deploy", corpus.path(row), "--name", AGENT, "--output", "json", *options)
        if result.code != REJECTED:
            return f"exit {result.code}: {result}"
        last = result.events()[-1]["deployment"]
        report = last["validation"]
        stages = [(stage["stage"], "passed" if stage.get("passed") else
                   "failed" if stage.get("ran") else "not run") for stage in report["stages"]]
        findings = [{"stage": stage["stage"], "code": finding["reason"],
                     "severity": "error" if finding.get("error") else "warning",
                     "message": finding["message"], "fix": finding.get("fix")}
                    for stage in report["stages"] for finding in stage.get("findings", [])]
        faults = corpus.lacks(row, stages, findings)
        if last["state"] != "FAILED":
            faults.append(f"the deployment is {last['state']}")
        return "; ".join(faults)

    def serve(self, rate):
        """The agent under load; how it must be found again, for untouched()."""
        self.server()
        self.deploy(example("echo"), AGENT)
        before = self.agent(AGENT)["stable"]
        live = self.cli_json("deployment", "list")["deployments"][0]["deploymentId"]
        workers = {worker["pid"] for worker in self.workers(f"{AGENT}@1")}
        load = self.load(AGENT, "--request", "--rate", rate, "--keys", 50)
        return before, live, workers, load

    def refuse_all(self, rows, load, *options):
        for row in rows:
            with self.subTest(row.module):
                wrong = self.refuse(row, *options)
                self.assertFalse(wrong, f"{row.module}: {wrong}")
                self.assertTrue(load.running(), "the load goes on")

    def untouched(self, rate, before, live, workers, load):
        """The same revision, the same route, the same deployment, the same processes."""
        summary = self.assert_clean_load(load.stop(), at_least=rate)
        self.assertEqual(summary["sent"], summary["answered"])
        after = self.agent(AGENT)
        self.assertEqual(after["stable"], before)
        self.assertEqual((before["name"], before["weightPercent"]), (f"{AGENT}@1", 100))
        self.assertNotIn("candidate", after)
        self.assertEqual(after["health"]["status"], "WELL")
        self.assertEqual(self.deployment(live)["state"], "RUNNING")
        self.assertEqual({worker["pid"] for worker in self.workers(f"{AGENT}@1")}, workers)
        counts = self.wait_idle()
        self.assertEqual((counts["deadLettered"], counts["dropped"]), (0, 0))
        self.assertEqual(self.request(AGENT, "still here"), "still here")
        history = self.cli_json("agent", "history", AGENT)["entries"]
        self.assertEqual([entry["revision"]["name"] for entry in history if
                          entry["revision"].get("weightPercent")], [f"{AGENT}@1"])

    def test_each_is_refused_and_the_live_revision_serves_on(self):
        served = self.serve(RATE)
        rows = corpus.rows("d")
        self.assertGreater(len(rows), 60)
        self.refuse_all(rows, served[-1])
        self.untouched(RATE, *served)

    def test_those_that_take_all_the_time_there_is_harm_nobody_either(self):
        served = self.serve(SLOW_RATE)
        rows = {row.module: row for row in corpus.rows("c")}
        self.refuse_all([rows[name] for name in SLOW], served[-1])
        bound = self.folder / "bound.yaml"
        bound.write_text(f"deployment: {{ stages: [ validate: {BOMB_SECONDS}s, full: 100% ] }}\n")
        self.refuse_all([rows[name] for name in BOMBS], served[-1], "-f", bound)
        self.untouched(SLOW_RATE, *served)


class Killed(harness.CaxtonTest):
    def test_one_that_runs_out_of_time_is_told_under_the_stage_it_was_in(self):
        self.server()
        file = self.folder / "short.yaml"
        file.write_text("deployment: { stages: [ validate: 1s, full: 100% ] }\n")
        # Its sample loops for two seconds, the limit of a sample.
        result = self.cli("deploy", corpus.FOLDER / "sample-loops.wasm", "--name", AGENT, "-f", file,
                          "--output", "json", code=REJECTED)
        stages = result.events()[-1]["deployment"]["validation"]["stages"]
        self.assertEqual([(stage["stage"], bool(stage.get("ran")), bool(stage.get("passed")))
                          for stage in stages],
                         [("static", True, True), ("sandbox", True, False),
                          ("contracts", False, False), ("resources", False, False)])
        finding = stages[1]["findings"][0]
        self.assertEqual(finding["reason"], "VALIDATION_TIMEOUT")
        self.assertIn("sample messages", finding["message"])
        self.assertIn("handle_message", finding["fix"])
        self.assertGreater(harness.seconds(stages[1]["elapsed"]), harness.seconds(stages[0]["elapsed"]))


class Deadlines(harness.CaxtonTest):
    def test_a_sample_gets_what_the_deadline_gives_a_step(self):
        """It works for half a second: too long for one deadline, and nothing for another."""
        self.server()
        path = corpus.FOLDER / "sample-works-long.wasm"
        self.deploy_from("resources: { deadline: 30s }\n", path, AGENT)
        self.assertEqual(self.request(AGENT, "hello"), "done")
        out = self.deploy_from("resources: { deadline: 50ms }\n", path, AGENT, code=REJECTED)
        for part in ("sample hello", "over the deadline of 50000 us", "To fix: "):
            self.assertIn(part, out.out + out.err, str(out))
        self.assertEqual(self.agent(AGENT)["stable"]["name"], f"{AGENT}@1")


if __name__ == "__main__":
    harness.main()

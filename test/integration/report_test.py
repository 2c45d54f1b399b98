#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One report, whoever asks: `caxton agent validate` without a server, ValidateAgent, a dry run and a
deployment say the same of a module, and people see all of it."""
import base64
import json
import pathlib
import re
import urllib.request

import corpus
import harness
from harness import DONE, REJECTED, example, module

AGENT = "corpus"  # as the corpus' manifests have it
STAGES = ["static", "sandbox", "contracts", "resources"]
SEVERITIES = ["error", "warning", "note"]
# Good ones, one that fails in each stage that can fail, and warnings.
MODULES = ["good-echo", "good-manifest", "good-init-log-flood", "memory-too-large", "init-divides",
           "sample-traps", "output-wrong-type", "memory-tight"]
TIMES = re.compile(r"\d+( \(live: \d+\))? us\b|(?<=deadline )\d+m?s")


def steady(text):
    """Without what the clock decides."""
    return TIMES.sub("T", text)


def whole(value):
    return int(value or 0)


class Report(harness.CaxtonTest):
    def as_cli(self, wire):
        """The API's report in the form of the command line's."""
        stages, findings = {}, []
        for stage in wire["stages"]:
            name = stage["stage"]
            stages[name] = {"result": "passed" if stage.get("passed") else
                            "failed" if stage.get("ran") else "not run", "note": stage.get("note", "")}
            for found in stage.get("findings", []):
                place, message = found.get("place", ""), found["message"]
                if place:
                    self.assertTrue(message.startswith(place + ": "), found)
                    message = message[len(place) + 2:]
                findings.append(("error" if found.get("error") else "warning", name, found["reason"],
                                 place, message, found.get("fix", "")))
            findings += [("note", name, note["reason"], note.get("place", ""), note["message"], "")
                         for note in stage.get("notes", [])]
        manifest, stats = wire["manifest"], wire["stats"]
        return {
            "ok": wire.get("passed", False), "stages": stages, "findings": findings,
            "manifest": {
                "name": manifest.get("name", ""), "version": manifest.get("version", ""),
                "instance": manifest["instance"], "health_check": manifest.get("healthCheck", False),
                "sends_to": {to["to"]: to["performatives"] for to in manifest.get("sendsTo", [])},
                "determinism": manifest.get("determinism", ""),
                "capabilities": json.loads(manifest.get("capabilities") or "[]")},
            "stats": {
                "module_bytes": whole(stats.get("moduleBytes")), "imports": stats.get("imports", 0),
                "exports": stats.get("exports", 0),
                "memory_min_bytes": whole(stats.get("memoryMinBytes")),
                "memory_max_bytes": whole(stats.get("memoryMaxBytes")),
                "code_bytes": whole(stats.get("codeBytes")),
                "initialized": stats.get("initialized", False),
                "memory_after_init_bytes": whole(stats.get("memoryAfterInitBytes")),
                "init_fuel": whole(stats.get("initFuel")), "samples": stats.get("samples", 0),
                "samples_handled": stats.get("samplesHandled", 0),
                "peak_memory_bytes": whole(stats.get("peakMemoryBytes")),
                "max_fuel": whole(stats.get("maxFuel")), "sends": whole(stats.get("sends")),
                "timed": sorted(name for name in ("check", "compile", "init", "maxStep")
                                if name in stats)},
            "engine": wire["engine"], "engine_config": wire["engineConfig"],
            "log": wire.get("log", [])}

    @staticmethod
    def of_cli(report):
        """The command line's, with what it leaves out where there is nothing."""
        stats = dict(report["stats"])
        times = {"check": "check_ns", "compile": "compile_ns", "init": "init_ns",
                 "maxStep": "max_step_ns"}
        timed = sorted(name for name, field in times.items() if stats.pop(field, None) is not None)
        empty = {"memory_max_bytes": 0, "code_bytes": 0, "memory_after_init_bytes": 0, "init_fuel": 0,
                 "samples": 0, "samples_handled": 0, "peak_memory_bytes": 0,
                 "max_fuel": 0, "sends": 0}
        return {
            "ok": report["ok"],
            "stages": {name: {"result": stage["result"], "note": stage.get("note", "")}
                       for name, stage in report["stages"].items()},
            "findings": [(f["severity"], f["stage"], f["code"], f.get("place", ""), f["message"],
                          f.get("fix", "")) for f in report["findings"]],
            "manifest": {"sends_to": {}, "capabilities": [], **report["manifest"]},
            "stats": {**empty, **stats, "timed": timed},
            "engine": report["engine"], "engine_config": report["engine_config"],
            "log": report.get("log", [])}

    def compare(self, ours, theirs):
        self.assertEqual(ours.keys(), theirs.keys())
        for report in (ours, theirs):
            self.assertEqual(list(report["stages"]), STAGES)
            report["findings"] = sorted(
                [(severity, stage, code, place, steady(message), steady(fix))
                 for severity, stage, code, place, message, fix in report["findings"]],
                key=lambda f: (SEVERITIES.index(f[0]), STAGES.index(f[1])))
        for field, value in ours.items():
            self.assertEqual(theirs[field], value, field)

    def without_server(self, path, code):
        """As the agent AGENT would be validated."""
        file = self.folder / "named.yaml"
        file.write_text(f"agent: {AGENT}\n")
        return self.cli_json("agent", "validate", path, "-f", file, code=code)

    def by_api(self, path):
        body = {"name": AGENT, "wasmModule": base64.b64encode(pathlib.Path(path).read_bytes()).decode()}
        request = urllib.request.Request(
            f"http://{self.current.http}/caxton.v1.AgentDeployment/ValidateAgent",
            json.dumps(body).encode(), {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=harness.COMMAND_SECONDS) as response:
            return json.load(response)["report"]


class SameForAll(Report):
    def test_the_api_says_what_the_command_line_says(self):
        self.server()
        for name in MODULES:
            with self.subTest(name):
                path = corpus.FOLDER / f"{name}.wasm"
                api = self.by_api(path)
                code = DONE if api.get("passed") else REJECTED
                cli = self.without_server(path, code)
                self.compare(self.of_cli(cli), self.as_cli(api))

    def test_a_dry_run_and_a_deployment_say_it_too(self):
        self.server()
        path = corpus.FOLDER / "memory-tight.wasm"
        wanted = self.of_cli(self.without_server(path, DONE))
        dry = self.cli_json("deploy", path, "--name", AGENT, "--dry-run")["validation"]
        self.compare(wanted, self.as_cli(dry))
        self.deploy(path, AGENT)
        self.compare(wanted, self.as_cli(self.deployment(AGENT)["validation"]))


class ShownToPeople(Report):
    def test_notes_are_shown_whole_and_warnings_after_a_deployment(self):
        self.server()
        path = corpus.FOLDER / "memory-tight.wasm"
        dry = self.deploy(path, AGENT, "--dry-run").out
        done = self.deploy(path, AGENT)
        self.assertIn("Warning: resources.memory: ", done.err)
        self.assertIn("  To fix: give it --memory 128Mi", done.err)
        self.assertNotIn("Warning", done.out)
        shown = self.cli("deployment", "show", AGENT).out
        against = self.cli("agent", "validate", path, "--against", AGENT).out
        alone = self.cli("agent", "validate", path).out
        for text in (dry, shown, against, alone):
            self.assertIn("Recommended: --memory 128Mi, deadline ", text)
            self.assertRegex(text, r"over \d+ samples: at most .* messages sent for one handled, 0 for ")
        self.assertIn("(live: 67108864)", against)

    def test_backtraces_have_their_lines(self):
        path = corpus.FOLDER / "sample-traps.wasm"
        out = self.cli("agent", "validate", path, code=REJECTED).out
        self.assertIn("unreachable", out)
        self.assertNotIn("\\n", out)


class AsItWouldBeDeployed(Report):
    def test_memory(self):
        path = corpus.FOLDER / "memory-too-large.wasm"
        refused = self.cli_json("agent", "validate", path, code=REJECTED)
        fix = refused["findings"][0]["fix"]
        memory = re.search(r"--memory (\w+)", fix).group(1)
        allowed = self.cli_json("agent", "validate", path, "--memory", memory)
        self.assertTrue(allowed["ok"])
        self.server()
        self.deploy(example("echo"), AGENT)
        self.cli("agent", "validate", path, "--against", AGENT, code=REJECTED)
        self.cli("agent", "validate", path, "--against", AGENT, "--memory", memory)

    def test_settings(self):
        path = corpus.FOLDER / "init-needs-setting.wasm"
        self.cli("agent", "validate", path, code=REJECTED)
        self.cli("agent", "validate", path, "--set", "mode=any")
        file = self.folder / "agent.yaml"
        file.write_text(f"agent: {AGENT}\nmodule: {path}\nsettings: {{ mode: any }}\n")
        self.cli("agent", "validate", "-f", file)
        self.server()
        self.deploy(example("echo"), AGENT)
        self.cli("agent", "validate", path, "--against", AGENT, code=REJECTED)
        self.cli("agent", "validate", "-f", file, "--against", AGENT)


class RecentMessages(Report):
    def test_what_they_use_is_weighed_and_recommended_for(self):
        self.server()
        self.deploy(module("misbehave"), "shop", "--memory", "40Mi")
        for _ in range(3):  # each asks for a reply of 32 MiB, which is refused
            self.assertEqual(self.request("shop", "big-reply"), "-4")
        again = self.deploy(module("misbehave"), "shop", "--memory", "40Mi", "--force")
        self.assertIn("Warning: resources.memory: the memory it used over its recent messages is close "
                      "to its limit: ", again.err)
        given = int(re.search(r"To fix: give it --memory (\d+)Mi", again.err).group(1))
        self.assertGreater(given, 64, "twice of what they used")
        resources = next(stage for stage in self.deployment("shop")["validation"]["stages"]
                         if stage["stage"] == "resources")
        notes = {note["reason"]: note["message"] for note in resources["notes"]}
        self.assertIn("over 3 recent messages of the agent: ", notes["RECENT"])
        self.assertIn(f"--memory {given}Mi, ", notes["RECOMMENDED"])
        self.assertIn("RECENT_MEMORY_TIGHT", [f["reason"] for f in resources["findings"]])
        shown = self.cli("deployment", "show", "shop").out
        self.assertIn(f"Recommended: --memory {given}Mi, ", shown)
        self.assertIn("over 3 recent messages of the agent: ", shown)


if __name__ == "__main__":
    harness.main()

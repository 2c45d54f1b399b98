#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Modules, files and words that are wrong: each with a clear error, and nothing changed."""
import time

import harness
from harness import DEPLOYMENTS, REFUSED, REJECTED, USAGE, example, module

EMPTY_MODULE = b"\0asm\1\0\0\0"


class BadModules(harness.CaxtonTest):
    def setUp(self):
        super().setUp()
        self.server()
        self.deploy(example("greeter-1"), "greeter")

    def rejected(self, path, *says):
        """Refused by validation, and the running revision serves on."""
        result = self.cli("deploy", path, "--name", "greeter", code=REJECTED)
        for part in says:
            self.assertIn(part, result.err, str(result))
        self.assertIn("To fix: ", result.err, str(result))
        self.assertEqual(self.request("greeter", "Ada"), "Hello, Ada! (greeter 1)")
        return result

    def file(self, content):
        path = self.folder / "bad.wasm"
        path.write_bytes(content)
        return path

    def test_not_a_wasm_file(self):
        self.rejected(self.file(b"#!/bin/sh\necho hello\n"))

    def test_empty_file(self):
        self.rejected(self.file(b""))

    def test_truncated(self):
        whole = (harness.EXAMPLES / "greeter-1.wasm").read_bytes()
        self.rejected(self.file(whole[:len(whole) // 2]), "the file is cut short")

    def test_wrong_exports(self):
        self.rejected(self.file(EMPTY_MODULE), "handle_message", "agent_alloc", "memory")

    def test_200_mb(self):
        path = self.folder / "big.wasm"
        with open(path, "wb") as file:
            file.write(EMPTY_MODULE)
            file.truncate(200_000_000)
        started = time.monotonic()
        self.rejected(path, "64Mi")
        self.assertLess(time.monotonic() - started, 10)

    def test_60_mb_of_nothing(self):
        # Small enough to be sent, by an upload in frames.
        path = self.folder / "big.wasm"
        with open(path, "wb") as file:
            file.write(EMPTY_MODULE)
            file.truncate(60_000_000)
        self.rejected(path)

    def test_init_fails(self):
        self.rejected(module("init-fails"))

    def test_init_traps(self):
        self.rejected(module("init-traps"))

    def test_init_loops(self):
        self.rejected(module("init-loops"))

    def test_another_agents_manifest(self):
        result = self.cli("deploy", example("greeter-1"), "--name", "other", code=REJECTED)
        self.assertIn("greeter", result.err)

    def test_no_such_file(self):
        result = self.run_cli("deploy", self.folder / "none.wasm", "--name", "greeter")
        self.assertIn(result.code, (harness.FAILED, USAGE), str(result))
        self.assertIn("none.wasm", result.err)

    def test_a_failed_first_deployment_leaves_no_agent_that_takes_messages(self):
        self.cli("deploy", module("init-traps"), "--name", "fresh", code=REJECTED)
        result = self.run_cli("message", "send", "fresh", "--data", "x")
        self.assertNotEqual(result.code, 0)
        self.deploy(example("echo"), "fresh")
        self.assertEqual(self.request("fresh", "x"), "x")

    def test_validate_needs_no_server(self):
        self.cli("agent", "validate", example("greeter-1"))
        self.assertEqual(self.run_cli("agent", "validate", self.file(b"nothing")).code, REJECTED)
        self.assertEqual(self.run_cli("agent", "validate", module("init-loops")).code, REJECTED)


class BadFiles(harness.CaxtonTest):
    def file(self, text):
        path = self.folder / "deployment.yaml"
        path.write_text(text)
        return path

    def deploy_file(self, text, code, says):
        # What to write instead is in the error itself.
        return self.refused("deploy", example("greeter-1"), "-f", self.file(text), code=code, says=says,
                            fix=False)

    def test_unknown_field(self):
        self.server()
        self.deploy_file("agent: greeter\ndeployment:\n  strategie: canary\n", USAGE,
                         ["3:3", "strategie", "strategy"])

    def test_wrong_units(self):
        self.server()
        self.deploy_file("resources: { memory: 64m }\n", USAGE, ["1:", "64m", "64Mi"])
        self.deploy_file("deployment:\n  strategy: direct\n  cleanup: 300\n", USAGE, ["3:", "300s"])
        self.refused("deploy", example("greeter-1"), "--name", "greeter", "--memory", "64m", code=USAGE,
                     says=["--memory", "64Mi"], fix=False)
        self.refused("deploy", example("greeter-1"), "--name", "greeter", "--stages", "5:5", code=USAGE,
                     says="--stages", fix=False)
        self.refused("deploy", example("greeter-1"), "--name", "greeter", "--stages", "5:5m",
                     "--rollback-on", "error_rate>1s", code=USAGE, says="--rollback-on", fix=False)

    def test_impossible_plan(self):
        self.server()
        self.deploy(example("greeter-1"), "greeter")
        result = self.run_cli("deploy", example("greeter-2"), "--name", "greeter", "--stages",
                              "50:5m,25:5m")
        self.assertEqual(result.code, USAGE, str(result))
        self.deploy_file("deployment:\n  strategy: canary\n  stages: [{canary: 100%}]\n", USAGE, ["3:11", "full"])

    def test_names(self):
        self.server()
        for name in ("Greeter", "-greeter", "a" * 64, "gree ter"):
            self.refused("deploy", example("echo"), f"--name={name}", code=USAGE, fix=False)

    def test_what_later_releases_carry_out(self):
        self.server()
        self.deploy(example("echo"), "echo")
        for words in (("agent", "secret", "set", "echo", "NAME"),
                      ("agent", "list", "--token", "x"),
                      ("audit", "list")):
            self.refused(*words, code=REFUSED)


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Contracts against the revision that is live and against other agents, with real processes: what
breaks one is refused under load without harm, and let through where somebody answers for it."""
import json

import harness
from harness import DONE, FAILED, REFUSED, REJECTED, ROLLED_BACK, example

USER = "ada"


def number(type):
    """A message type with one number in an order."""
    return {"type": "object", "properties": {
        "order": {"type": "object", "properties": {"n": {"type": type}}}}}


class Contracts(harness.CaxtonTest):
    def environment(self):
        return {**super().environment(), "USER": USER}

    def module(self, name, manifest, base="echo"):
        """`base` with this manifest, written by the command line."""
        text = self.folder / f"{name}.json"
        text.write_text(json.dumps(manifest))
        path = self.folder / f"{name}.wasm"
        self.cli("agent", "package", example(base), "--manifest", text, "-o", path)
        return str(path)

    def wide(self):
        return self.module("wide", {"consumes": {"REQUEST": number(["integer", "string"])}})

    def narrow(self):
        return self.module("narrow", {"consumes": {"REQUEST": number("integer")}})

    def contracts_stage(self, report):
        return next(s for s in report["stages"] if s["stage"] == "contracts")


class WithLive(Contracts):
    def test_a_breaking_consumer_is_refused_and_the_live_revision_serves_on(self):
        self.server()
        self.deploy(self.wide(), "shop")
        load = self.load("shop", "--request", "--rate", "300", "--keys", "50")
        before = {w["pid"] for w in self.workers("shop@1")}
        out = self.deploy(self.narrow(), "shop", code=REJECTED)
        text = out.out + out.err
        for part in ("consumes/REQUEST/order/n", "type string", "live revision shop@1", "To fix: ",
                     "--allow-breaking"):
            self.assertIn(part, text, str(out))
        report = self.deployment("shop")["validation"]
        self.assertEqual([s["stage"] for s in report["stages"] if not s.get("passed")],
                         ["contracts", "resources"])
        self.assertIn("shop@1", self.contracts_stage(report)["detail"])
        self.assertEqual(self.agent("shop")["stable"]["name"], "shop@1")
        self.assertEqual({w["pid"] for w in self.workers("shop@1")}, before)
        self.assert_clean_load(load.stop())
        self.wait_idle()

    def test_allow_breaking_lets_it_through_and_says_who_did(self):
        self.server()
        self.deploy(self.wide(), "shop")
        load = self.load("shop", "--request", "--rate", "300", "--keys", "50")
        self.deploy(self.narrow(), "shop", "--version", "2.0.0", "--allow-breaking",
                    "--rollback-on", "error_rate>5%")
        self.assert_clean_load(load.stop())
        for _ in range(2):  # and after a restart: it is in the journal
            deployment = self.deployment("shop")
            self.assertTrue(deployment["allowedBy"].startswith(f"{USER} (ipv4:127.0.0.1:"),
                            deployment["allowedBy"])
            self.assertEqual(len(deployment["letThrough"]), 1)
            self.assertIn("consumes/REQUEST/order/n", deployment["letThrough"][0])
            shown = self.cli("deployment", "show", "shop").out
            self.assertIn(f"allowed by {USER}", shown)
            self.assertIn("consumes/REQUEST/order/n", shown)
            self.current.stop()
            self.current.start()
        explained = self.cli_json("deployment", "explain", "shop")["deployment"]
        self.assertTrue(explained["allowedBy"].startswith(USER))
        lines = [json.loads(line) for line in self.current.log().splitlines()
                 if line.startswith("{")]
        told = [line for line in lines if line["message"] == "broken contracts let through"]
        self.assertEqual(len(told), 1)
        self.assertTrue(told[0]["allowed_by"].startswith(USER), told)
        self.assertIn("consumes/REQUEST/order/n", told[0]["let_through"])

    def test_a_rollback_to_narrower_contracts_is_not_refused(self):
        self.server()
        self.deploy(self.narrow(), "shop")
        self.deploy(self.wide(), "shop", "--wait", "running")
        yaml = "deployment: { cleanup: 1s }\n"
        self.deploy_from(yaml, self.wide(), "shop", "--set", "a=b", "--wait", "finalized")
        self.cli("rollback", "shop", "--to", "1")
        self.assertEqual(self.deployment("shop")["allowedBy"], "rollback")

    def test_what_breaks_nothing_records_nothing(self):
        self.server()
        self.deploy(self.narrow(), "shop")
        self.deploy(self.wide(), "shop")
        self.assertEqual(self.deployment("shop")["allowedBy"], "")

    def test_validate_against_and_dry_run_change_nothing(self):
        self.server()
        self.deploy(self.wide(), "shop")
        out = self.cli("agent", "validate", self.narrow(), "--against", "shop", code=REJECTED)
        self.assertIn("consumes/REQUEST/order/n", out.out)
        report = self.cli_json("agent", "validate", self.wide(), "--against", "shop")["report"]
        self.assertIn("shop@1", self.contracts_stage(report)["detail"])
        # The figures of both stand side by side.
        resources = next(s for s in report["stages"] if s["stage"] == "resources")
        self.assertRegex(resources["detail"], r"\d+ \(live: \d+\) bytes of memory")
        self.refused("agent", "validate", self.wide(), "--against", "shpo", code=FAILED,
                     says=["shpo", "shop"])
        self.deploy(self.narrow(), "shop", "--dry-run", code=REJECTED)
        self.deploy(self.narrow(), "shop", "--dry-run", "--allow-breaking")
        self.assertEqual(self.agent("shop")["stable"]["name"], "shop@1")
        # Without a server there is nothing to compare with, and it says so.
        offline = self.cli("agent", "validate", self.narrow())
        self.assertIn("no live revision", offline.out)


class WithOthers(Contracts):
    def shop(self, type, name="shop"):
        return self.module(f"{name}-{type}", {"sends_to": {"billing": ["REQUEST"]},
                                              "produces": {"REQUEST": number(type)}})

    def billing(self, type):
        return self.module(f"billing-{type}", {"consumes": {"REQUEST": number(type)}})

    def test_what_it_sends_has_to_be_accepted(self):
        self.server()
        self.deploy(self.billing("integer"), "billing")
        out = self.deploy(self.shop("string"), "shop", code=REJECTED)
        for part in ("produces/REQUEST/order/n", "billing, which it sends to", "type string"):
            self.assertIn(part, out.out + out.err, str(out))
        self.deploy(self.shop("integer"), "shop")
        # Its receiver cannot change under it either.
        out = self.deploy(self.billing("boolean"), "billing", code=REJECTED)
        self.assertIn("shop, which sends to it", out.out + out.err)
        self.assertEqual(self.agent("billing")["stable"]["name"], "billing@1")

    def test_two_that_change_together(self):
        self.server()
        self.deploy(self.billing("integer"), "billing")
        self.deploy(self.shop("integer"), "shop")
        asks = self.module("asks", {"sends_to": {"billing": ["REQUEST", "QUERY"]},
                                    "produces": {"REQUEST": number("integer")}})
        answers = self.module("answers", {"consumes": {"REQUEST": number("integer"), "QUERY": {}}})
        out = self.deploy(asks, "shop", code=REJECTED)  # alone
        self.assertIn("messages of type QUERY are sent, and not accepted", out.out + out.err)
        path = self.folder / "both.yaml"
        path.write_text(f"- agent: shop\n  module: {asks}\n"
                        f"- agent: billing\n  module: {answers}\n")
        out = self.run_cli("deploy", "-f", path)
        self.assertEqual(out.code, DONE, str(out))
        # Whoever was examined last knows the other's new revision.
        details = [self.contracts_stage(self.deployment(agent)["validation"])["detail"]
                   for agent in ("shop", "billing")]
        self.assertRegex("".join(details), r"(shop|billing)@\d \(switched together with it\)")
        # Nor may a group break what its members have with each other (forced: shop runs already).
        bad = self.module("bad", {"consumes": {"REQUEST": number("boolean"), "QUERY": {}}})
        path.write_text(f"- agent: shop\n  module: {asks}\n"
                        f"- agent: billing\n  module: {bad}\n")
        out = self.run_cli("deploy", "-f", path, "--force")
        self.assertIn(out.code, (REJECTED, ROLLED_BACK), str(out))  # the first of the list tells
        self.assertIn("consumes/REQUEST/order/n", out.out + out.err)
        self.assertEqual(self.agent("billing")["stable"]["name"], "billing@2")

    def test_a_receiver_that_is_not_there_is_named(self):
        self.server()
        out = self.deploy(self.shop("integer"), "shop", "--dry-run")
        self.assertIn("billing", out.out)
        self.assertIn("no such agent serves", out.out)

    def test_who_is_seen_to_send_counts_too(self):
        """relay declares nothing: whom it sends what is what the sandbox saw."""
        self.server()
        self.deploy(self.billing("integer"), "billing")

        def relay(name, n):
            return self.module(name, {"samples": [{"json": {"order": {"n": n}}}]}, base="relay")

        out = self.deploy(relay("words", "three"), "relay", "--set", "to=billing", code=REJECTED)
        for part in ("sample samples/0, REQUEST/order/n", "billing, which it sends to"):
            self.assertIn(part, out.out + out.err, str(out))
        self.deploy(relay("numbers", 3), "relay", "--set", "to=billing")
        # Its samples sent to an agent that serves, and nothing of it left the sandbox.
        self.assertEqual(self.wait_idle()["accepted"], 0)
        self.assertEqual(int(self.agent("billing").get("messages", {}).get("accepted", 0)), 0)
        self.assertEqual(json.loads(self.request("relay", '{"order":{"n":7}}')),
                         {"order": {"n": 7}})
        # Live, the same does.
        self.assertGreater(int(self.agent("billing")["messages"]["accepted"]), 0)


if __name__ == "__main__":
    harness.main()

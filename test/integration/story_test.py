#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The whole story under one load and one ledger: bad canary, good canary, rollback, kill -9, restart."""
import harness
from harness import DONE, ROLLED_BACK, example, wait_until

RATE = 2000
KEYS = 1000


class Story(harness.CaxtonTest):
    def test_the_ledger_adds_up(self):
        server = self.server("--dev", "--time-scale", "60")
        self.deploy(example("greeter-1"), "greeter", "--version", "1")
        self.cli("message", "tail", "greeter")  # from here on it is kept
        ledger = self.folder / "ledger"
        load = self.load("greeter", "--request", "--rate", RATE, "--keys", KEYS, "--ledger", ledger,
                         "--retry", "--timeout", "60s")

        def answered():
            return ledger.read_text().count(" INFORM") if ledger.exists() else 0

        wait_until(lambda: answered() > 100, "the load is under way")
        self.deploy(example("greeter-2-trapping"), "greeter", "--version", "2t", "--stages",
                    "25:10m,50:10m", "--rollback-on", "error_rate>1%", code=ROLLED_BACK)
        self.deploy(example("greeter-2"), "greeter", "--version", "2", "--stages", "25:2m,50:2m",
                    "--rollback-on", "error_rate>1%", code=DONE)
        back = self.cli_json("rollback", "greeter")
        self.assertEqual(back["toRevision"], "greeter@1")
        before = answered()
        wait_until(lambda: answered() > before, "the load goes on")
        server.kill()
        server.start()
        before = answered()
        wait_until(lambda: answered() > before, "the load goes on after the restart")
        self.assert_clean_load(load.stop(), at_least=RATE)
        self.wait_idle()
        checked = self.cli_json("load", "greeter", "--ledger", ledger, "--verify-tail", "greeter",
                                "--expect-from-ledger", "--request", "--keys", KEYS)
        tail = checked["tail"]
        self.assertEqual((tail["lost"], tail["doubled"], tail["outOfOrder"]), (0, 0, 0), tail)
        self.assertEqual(self.deployment("greeter")["state"], "ROLLED_BACK")


if __name__ == "__main__":
    harness.main()

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`caxton agent validate` on every module of the corpus: through the command line, in the real child."""
import concurrent.futures
import time

import corpus
import harness
from harness import DONE, REJECTED

AT_ONCE = 2
# The child is ended after 30 s (kValidateLimitMs in src/worker); the rest is ours, and a busy machine's.
LIMIT_SECONDS = 60


class Corpus(harness.CaxtonTest):
    def validate(self, row):
        """What is wrong with the answer; empty: nothing."""
        started = time.monotonic()
        result = self.run_cli("agent", "validate", corpus.path(row), "--output", "json")
        took = time.monotonic() - started
        codes = {"error": [REJECTED], "ends": [DONE, REJECTED]}.get(row.severity, [DONE])
        faults = [] if result.code in codes else [f"exit {result.code}, not {codes}"]
        if took > LIMIT_SECONDS:
            faults.append(f"took {took:.1f} s")
        try:
            report = result.json()
            stages = [(name, stage["result"]) for name, stage in report["stages"].items()]
            faults += corpus.lacks(row, stages, report["findings"])
            if report["ok"] != (result.code == DONE):
                faults.append(f"ok is {report['ok']}")
            faults += [f"stage {name} does not say why it did not run"
                       for name, stage in report["stages"].items()
                       if stage["result"] == "not run" and not stage.get("note")]
        except (ValueError, KeyError) as error:
            faults.append(f"no report: {error!r}")
        return faults and (faults, result)

    def test_each_module_is_told_as_the_index_says(self):
        rows = corpus.rows("c")
        self.assertGreater(len(rows), 60)
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            for row, wrong in zip(rows, pool.map(self.validate, rows)):
                with self.subTest(row.module):
                    self.assertFalse(wrong, wrong and f"{row.module}: {'; '.join(wrong[0])}\n{wrong[1]}")

    def test_people_are_told_how_to_fix_it(self):
        for stage in ("static", "sandbox", "contracts"):
            row = next(row for row in corpus.rows("c") if row.stage == stage and row.severity == "error")
            result = self.cli("agent", "validate", corpus.path(row), code=REJECTED)
            self.assertIn("error: ", result.out)
            self.assertIn("  To fix: ", result.out)
            self.assertIn(row.says, result.out)


if __name__ == "__main__":
    harness.main()

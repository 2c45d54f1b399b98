# SPDX-License-Identifier: Apache-2.0
"""The corpus of modules and what must be said of each: test/data/modules/corpus/index.txt."""
import collections

import harness

INDEX = harness.ROOT / "test" / "data" / "modules" / "corpus" / "index.txt"
FOLDER = harness.BUILD / "test" / "corpus"

# `codes` is a list; the first is the one that the fragment `says` belongs to.
Row = collections.namedtuple("Row", "module shown_by stage severity codes says")


def rows(shown_by):
    """Those that are shown by `shown_by`: l, c or d."""
    found = []
    for line in INDEX.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        module, by, stage, severity, codes, says = (cell.strip() for cell in line.split("|"))
        if shown_by in by:
            found.append(Row(module, by, stage, severity, codes.split(), says))
    return found


def path(row):
    return FOLDER / f"{row.module}.wasm"


def lacks_of_bomb(row, findings):
    """One error, which says what limit ended it and how to do better; none where it may pass."""
    errors = [finding for finding in findings if finding["severity"] == "error"]
    if not errors:
        return [] if "ok" in row.codes else ["it passed"]
    error = errors[0]
    good = (len(errors) == 1 and error["code"] in row.codes and error["stage"] == row.stage and
            row.says in error["message"] and error["fix"])
    return [] if good else [f"no limit of the child is told: {errors}"]


def lacks(row, stages, findings):
    """What is missing in a report: texts, empty where all is as the index says. `stages`: pairs of
    a stage's name and "passed", "failed" or "not run"; `findings`: with severity, stage, code,
    message and fix."""
    if row.severity == "ends":
        return lacks_of_bomb(row, findings)
    faults = []
    codes = {severity: {f["code"] for f in findings if f["severity"] == severity}
             for severity in ("error", "warning")}
    errors = set(row.codes) if row.severity == "error" else set()
    if codes["error"] != errors:
        faults.append(f"errors {sorted(codes['error'])}, not {sorted(errors)}")
    if not errors:
        warnings = set(row.codes) if row.severity == "warning" else set()
        if codes["warning"] != warnings:
            faults.append(f"warnings {sorted(codes['warning'])}, not {sorted(warnings)}")
    if row.severity != "good":
        told = [f for f in findings if f["code"] in row.codes and row.says in f["message"]]
        if row.stage not in [f["stage"] for f in told]:
            faults.append(f"{row.codes} under {row.stage} does not say {row.says!r}")
    faults += [f"{f['code']} has no fix" for f in findings
               if f["severity"] in ("error", "warning") and not f.get("fix")]
    wanted, failed = [], False
    for name, _ in stages:
        wanted.append((name, "not run" if failed else "failed" if errors and name == row.stage
                       else "passed"))
        failed = failed or wanted[-1][1] == "failed"
    if list(stages) != wanted:
        faults.append(f"stages {list(stages)}, not {wanted}")
    return faults

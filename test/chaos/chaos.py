#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of server and workers at random moments, under load, with deployments going on.

Two loads run as processes of their own and keep a ledger each: numbered sends into the pipeline
intake -> ledger, and numbered requests to greeter. Meanwhile the server is killed and started again,
workers are killed, and revisions, good and bad, are deployed, promoted, aborted and rolled back. At
the end both ledgers are held against what the agents handled:

    0 acknowledged messages lost, 0 applied twice, 0 out of order within a key, 0 errors shown to a
    sender, and accepted = completed + dead-lettered + dropped + waiting.

    chaos.py                                the size of CI: 60 server kills, 200 worker kills
    chaos.py --seed 7                       the same random decisions again
    chaos.py --server-kills 1000 --worker-kills 5000 --time-limit 3600
    chaos.py --keep                         leaves ledgers, log and data where it says

docs/internals/chaos.md says more.
"""
import argparse
import contextlib
import json
import os
import pathlib
import random
import shutil
import signal
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))
import harness  # noqa: E402
from harness import example, module  # noqa: E402

AGENTS = ("greeter", "ledger", "intake")
PIPELINE_KEYS = 40
GREETER_KEYS = 200
STEP_SECONDS = (0.02, 0.60)       # between two blows
QUIET_SHARE = 0.5                 # of the cycles in which both loads must get on before the server dies
QUIET_ANSWERS = 30
QUIET_SECONDS = 30
START_KILL_SHARE = 0.15           # of the server kills fall into its start
STATUS_EVERY = 5                  # cycles
SETTLE_SECONDS = 60


class Chaos:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        # Only its shadows may be poison, and it is never promoted: a promoted shadow serves, and one
        # that fails on every message would rightly answer nobody.
        self.poisoned = self.random.choice(AGENTS)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="caxton-chaos-"))
        self.server = harness.Server(self.folder, ["--dev", "--time-scale", "600"])
        self.loads = {}
        self.background = []
        self.server_kills = 0
        self.worker_kills = 0
        self.operations = {}
        self.number = 0

    # ---- the command line, which may fail at any moment: the server is being killed

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CAXTON_")}
        env["CAXTON_SERVER"] = self.server.grpc
        return env

    def command(self, *args):
        """Starts one and does not wait for it."""
        self.background = [load for load in self.background if self._alive(load)]
        self.background.append(
            harness.Load([*map(str, args), "--timeout", "10s"], self.environment(),
                         self.folder / "commands.log"))

    @staticmethod
    def _alive(load):
        if load.running():
            return True
        load.close()
        return False

    def ask(self, *args, timeout=60):
        load = harness.Load([*map(str, args), "--output", "json"], self.environment(),
                            self.folder / "ask.log")
        try:
            return load.wait(timeout)
        finally:
            load.close()

    def must(self, *args, codes=(harness.DONE,)):
        result = self.ask(*args)
        if result.code not in codes:
            raise AssertionError(str(result))
        return result

    # ---- blows

    def kill_worker(self):
        workers = []
        for pid in harness.children_of(self.server.pid):
            with contextlib.suppress(OSError):
                if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == "caxton-worker":
                    workers.append(pid)
        if not workers:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(sorted(workers)), signal.SIGKILL)
            self.worker_kills += 1

    def kill_server(self):
        self.server.kill()
        self.server_kills += 1
        while self.random.random() < START_KILL_SHARE:
            # Killed while it starts.
            if self.server.start_and_kill(self.random.uniform(0.01, 0.6)):
                self.server_kills += 1
        self.server.start()

    def operate(self):
        choice = self.random.choice(
            ["direct", "direct", "canary", "canary", "trapping", "poison", "rollback", "promote", "abort",
             "set", "drain", "blue-green", "preview", "early", "shadow", "shadow-poison", "group"])
        self.operations[choice] = self.operations.get(choice, 0) + 1
        self.number += 1
        agent = self.random.choice(AGENTS)
        if choice == "shadow-poison":
            agent = self.poisoned
        elif choice == "promote" and agent == self.poisoned:
            agent = next(other for other in AGENTS if other != self.poisoned)
        good = {"greeter": example(self.random.choice(["greeter-1", "greeter-2"])),
                "ledger": example("ledger"), "intake": example("intake")}[agent]
        new = ["--name", agent, "--set", f"chaos={self.number}", "--detach", "--queue",
               self.random.choice(["wait", "replace", "refuse"])]
        canary = ["--stages", self.random.choice(["10:5m,50:5m", "50:10m", "5:10m"]), "--rollback-on",
                  "error_rate>1%"]
        if choice == "direct":
            self.command("deploy", good, *new)
        elif choice == "canary":
            self.command("deploy", good, *new, *canary)
        elif choice == "trapping":
            self.command("deploy", example("greeter-2-trapping"), *new[:1], "greeter", *new[2:], *canary)
        elif choice == "poison":
            # Every message it gets fails: stable must handle them, in order.
            self.command("deploy", module("misbehave"), *new, "--set", "mode=trap", *canary)
        elif choice == "early":
            self.command("deploy", good, *new, "-f", self.file("canary", "promote: early, stages: ["
                         " canary: { weight: 50%, for: 10m }, full: 100% ]"))
        elif choice == "blue-green":
            self.command("deploy", good, *new, "-f", self.file("blue-green", "stages: ["
                         " warm_up: { hold: 5m }, switch: instant ]"))
        elif choice == "preview":
            self.command("deploy", good, *new, "--preview")
        elif choice == "shadow":
            self.command("deploy", good, *new, "-f",
                         self.file("shadow", "duration: 20m, secondary: true"))
        elif choice == "shadow-poison":
            # It fails on every copy, which nobody may notice.
            self.command("deploy", module("misbehave"), *new, "--set", "mode=trap", "-f",
                         self.file("shadow", "duration: 20m"))
        elif choice == "group":
            text = "".join(f"- {{ agent: {name}, module: {example(name)},"
                           f" settings: {{ chaos: {self.number} }} }}\n" for name in ("intake", "ledger"))
            path = self.folder / f"group-{self.number}.yaml"
            path.write_text(text)
            self.command("deploy", "-f", path, "--detach")
        elif choice == "rollback":
            self.command("rollback", agent)
        elif choice == "drain":
            self.command("rollback", agent, "--drain", "1s")
        elif choice == "set":
            self.command("agent", "set", agent, "--set", f"chaos={self.number}", "--detach")
        else:
            self.command("deployment", choice, agent)

    def file(self, strategy, fields):
        path = self.folder / f"{strategy}-{self.number}.yaml"
        path.write_text(f"deployment: {{ strategy: {strategy}, {fields} }}\n")
        return path

    # ---- the run

    def prepare(self):
        self.server.start()
        for agent, file in (("ledger", "ledger"), ("intake", "intake"), ("greeter", "greeter-1")):
            self.must("deploy", example(file), "--name", agent)
        self.must("message", "tail", "ledger")  # from here on what it handles is kept
        self.must("message", "tail", "greeter")
        self.start_load("intake", "--send", PIPELINE_KEYS)
        self.start_load("greeter", "--request", GREETER_KEYS)

    def start_load(self, agent, mode, keys, *more):
        self.loads[agent] = harness.Load(
            ["load", agent, mode, "--keys", str(keys), "--rate", str(self.options.rate), "--size", "64",
             "--ledger", str(self.folder / f"{agent}.ledger"), "--timeout", "60s", "--output", "json",
             *more], self.environment(), self.folder / f"{agent}.load.log")

    def run(self):
        started = time.monotonic()
        self.prepare()
        cycle = 0
        while (self.server_kills < self.options.server_kills or
               self.worker_kills < self.options.worker_kills):
            if time.monotonic() - started > self.options.time_limit:
                raise AssertionError(
                    f"only {self.server_kills} server kills and {self.worker_kills} worker kills within "
                    f"{self.options.time_limit} s")
            cycle += 1
            if cycle % STATUS_EVERY == 0:
                self.check_counts(self.must("server", "status").json())
                print(f"  {time.monotonic() - started:5.0f} s: {self.server_kills} server kills, "
                      f"{self.worker_kills} worker kills, {self.progress()}", flush=True)
            per_cycle = self.options.worker_kills / max(self.options.server_kills, 1)
            blows = self.random.randint(max(1, round(per_cycle * 0.7)), max(2, round(per_cycle * 1.5)))
            for _ in range(blows):
                time.sleep(self.random.uniform(*STEP_SECONDS))
                if self.random.random() < 0.4:
                    self.operate()
                if self.worker_kills < self.options.worker_kills * 2:
                    self.kill_worker()
            time.sleep(self.random.uniform(*STEP_SECONDS))
            for agent, load in self.loads.items():
                if not load.running():
                    raise AssertionError(f"the load of {agent} ended by itself: {load.wait()}")
            if self.random.random() < QUIET_SHARE:
                self.must_get_on()
            if self.server_kills < self.options.server_kills:
                self.kill_server()
        self.finish(time.monotonic() - started)

    def answered(self, agent):
        with contextlib.suppress(OSError):
            text = (self.folder / f"{agent}.ledger").read_text()
            return text.count("\nA ") + text.count("\nY ")
        return 0

    def must_get_on(self):
        for agent in self.loads:
            goal = self.answered(agent) + QUIET_ANSWERS
            harness.wait_until(lambda: self.answered(agent) >= goal, f"the load of {agent} gets on",
                               QUIET_SECONDS, poll=0.05)

    def progress(self):
        return (f"{self.answered('intake')} sends acknowledged, "
                f"{self.answered('greeter')} requests answered")

    @staticmethod
    def check_counts(status):
        counts = {k: int(v) for k, v in status["messages"].items()}
        parts = [counts[k] for k in ("completed", "deadLettered", "dropped", "waiting")]
        if counts["accepted"] != sum(parts) or not status["messagesAddUp"]:
            raise AssertionError(f"the counters do not add up: {counts}")
        return counts

    def finish(self, took):
        for load in self.background:
            with contextlib.suppress(Exception):
                load.wait(30)
            load.close()
        faults = []
        for agent, load in self.loads.items():
            result = load.stop()
            if result.code != harness.DONE:
                faults.append(f"load of {agent}: {result}")
        harness.wait_until(
            lambda: int(self.must("server", "status").json()["messages"]["waiting"]) == 0,
            "no message waits", SETTLE_SECONDS, poll=0.2)
        for agent, end, keys in (("intake", "ledger", PIPELINE_KEYS), ("greeter", "greeter", GREETER_KEYS)):
            result = self.ask("load", agent, "--ledger", self.folder / f"{agent}.ledger", "--verify-tail",
                              end, "--expect-from-ledger", "--timeout", "20s", timeout=120)
            if result.code != harness.DONE:
                faults.append(f"ledger of {agent}: {result}")
            else:
                tail = result.json()["tail"]
                print(f"  {agent} -> {end}: {json.dumps(tail)}")
                if tail["gap"] or tail["lost"] or tail["doubled"] or tail["outOfOrder"]:
                    faults.append(f"ledger of {agent}: {tail}")
        # Once more after a last crash: what is true is on the disk.
        self.server.kill()
        self.server.start()
        counts = self.check_counts(self.must("server", "status").json())
        if counts["deadLettered"] or counts["dropped"]:
            faults.append(f"messages ended as dead letters or dropped: {counts}")
        print(f"  counters: {json.dumps(counts)}")
        print(f"  operations: {json.dumps(self.operations)}")
        print(f"  {self.server_kills} server kills, {self.worker_kills} worker kills in {took:.0f} s")
        if faults:
            raise AssertionError("\n".join(faults))

    def close(self, keep):
        for load in [*self.loads.values(), *self.background]:
            with contextlib.suppress(Exception):
                load.close()
        with contextlib.suppress(Exception):
            self.server.close()
        if not keep:
            shutil.rmtree(self.folder, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    parser.add_argument("--server-kills", type=int, default=60)
    parser.add_argument("--worker-kills", type=int, default=200)
    parser.add_argument("--rate", type=int, default=150, help="messages per second of each load")
    parser.add_argument("--time-limit", type=int, default=540, help="seconds")
    parser.add_argument("--keep", action="store_true", help="leave the files where they are")
    options = parser.parse_args()
    print(f"chaos: seed {options.seed}", flush=True)
    chaos = Chaos(options)
    failed = True
    try:
        chaos.run()
        failed = False
    except AssertionError as error:
        print(f"chaos FAILED with seed {options.seed}: {error}", file=sys.stderr)
        print(chaos.server.log()[-8000:], file=sys.stderr)
    finally:
        keep = options.keep or failed
        chaos.close(keep)
        if keep:
            print(f"chaos: everything is in {chaos.folder}", file=sys.stderr)
    if failed:
        sys.exit(1)
    print("chaos: nothing lost, nothing doubled, nothing out of order")


if __name__ == "__main__":
    main()

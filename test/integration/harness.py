# SPDX-License-Identifier: Apache-2.0
"""What the integration tests stand on: a real server, the real command line, real loads.

A test is a method of a class derived from CaxtonTest. It gets a folder of its own and, by
self.server(...), a server that is killed at the end whatever happens, with a check that its
workers go with it. Nothing sleeps for a fixed time: wait_until() polls a condition up to a
deadline and says what it waited for.

The programs are taken from the build folder in CAXTON_BUILD_DIR (default: build/debug).
"""
import contextlib
import json
import os
import pathlib
import re
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("CAXTON_BUILD_DIR", ROOT / "build" / "debug")).resolve()
CAXTON = BUILD / "caxton"
EXAMPLES = BUILD / "examples"
MODULES = BUILD / "test" / "modules"
DEPLOYMENTS = ROOT / "test" / "data" / "deployments"

START_SECONDS = 30      # until the ready line
COMMAND_SECONDS = 60    # one run of the command line
POLL_SECONDS = 0.02

METRIC = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'(\w+)="([^"]*)"')

# Exit statuses of the command line (interfaces: "Exit status").
DONE, FAILED, USAGE, REJECTED, ROLLED_BACK, UNREACHABLE, REFUSED, INCONCLUSIVE = range(8)


def example(name):
    return str(EXAMPLES / f"{name}.wasm")


def module(name):
    return str(MODULES / f"{name}.wasm")


def wait_until(condition, what, timeout=20.0, poll=POLL_SECONDS):
    """The first true value of condition(); fails saying what did not happen and the last value."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout:g} s: {what} (last: {value!r})")
        time.sleep(poll)


def seconds(duration):
    """'1.500s', as protobuf's JSON has durations -> 1.5; None and '' -> 0."""
    return float(duration.rstrip("s")) if duration else 0.0


def process_exists(pid):
    """False for zombies too: they run no more."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def children_of(pid):
    """All descendants of a process, by the parents that /proc shows."""
    parents = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        with contextlib.suppress(OSError):
            with open(f"/proc/{entry}/stat") as stat:
                parents[int(entry)] = int(stat.read().rpartition(")")[2].split()[1])
    found, frontier = [], {pid}
    while frontier:
        frontier = {child for child, parent in parents.items() if parent in frontier}
        found += frontier
    return found


class Result:
    """One run of the command line."""

    def __init__(self, args, code, out, err):
        self.args, self.code, self.out, self.err = args, code, out, err

    def json(self):
        return json.loads(self.out)

    def events(self):
        """The documents of a command that prints one a line."""
        return [json.loads(line) for line in self.out.splitlines() if line.strip()]

    def __str__(self):
        return (f"caxton {' '.join(map(str, self.args))}\n  exit {self.code}\n"
                f"  stdout: {self.out[-4000:]}\n  stderr: {self.err[-4000:]}")


class Load:
    """`caxton load` in the background."""

    def __init__(self, args, env, log):
        self._log = open(log, "w+")
        self.args = args
        self._process = subprocess.Popen([str(CAXTON), *args], env=env, text=True,
                                         stdout=subprocess.PIPE, stderr=self._log)

    def running(self):
        return self._process.poll() is None

    @property
    def pid(self):
        return self._process.pid

    def stop(self):
        """Ends it as Ctrl-C does: it waits for its answers and prints the summary."""
        # Before it has its handler, the signal would simply end it.
        wait_until(lambda: not self.running() or self._catches(signal.SIGINT),
                   "the load is under way")
        if self.running():
            self._process.send_signal(signal.SIGINT)
        return self.wait(30)

    def _catches(self, number):
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("SigCgt:"):
                    return bool(int(line.split()[1], 16) >> (number - 1) & 1)
        return False

    def wait(self, timeout=COMMAND_SECONDS):
        out, _ = self._process.communicate(timeout=timeout)
        self._log.seek(0)
        result = Result(self.args, self._process.returncode, out, self._log.read())
        return result

    def close(self):
        if self.running():
            self._process.kill()
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()


class ServerDidNotStart(AssertionError):
    def __init__(self, code, err):
        super().__init__(f"the server did not start: exit {code}\n{err}")
        self.code, self.err = code, err


class Server:
    """One data directory and the server on it, over restarts."""

    def __init__(self, folder, options=(), data_dir=None):
        self.folder = pathlib.Path(folder)
        self.data = pathlib.Path(data_dir) if data_dir else self.folder / "data"
        self.options = list(options)
        self.grpc = "127.0.0.1:0"
        self.http = "127.0.0.1:0"
        self.popen_options = {}  # more of subprocess.Popen's
        self.process = None
        self._log_path = self.folder / "server.log"
        self._log = open(self._log_path, "a")

    def start(self, extra=()):
        args = [str(CAXTON), "server", "start", "--data-dir", str(self.data), "--listen", self.grpc,
                "--http", self.http, *self.options, *extra]
        before = self._log_path.stat().st_size
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE, stderr=self._log,
                                        start_new_session=True, **self.popen_options)
        line = self._ready_line()
        match = re.fullmatch(r"caxton ready: grpc (\S+) http (\S+)\n", line)
        if not match:
            code = self.process.wait(timeout=START_SECONDS) if not line else None
            with open(self._log_path) as log:
                log.seek(before)
                err = log.read()
            raise ServerDidNotStart(code, (line + err)[-4000:])
        # A restart serves where its clients look for it.
        self.grpc, self.http = match.groups()
        return self

    def _ready_line(self):
        line, deadline = b"", time.monotonic() + START_SECONDS
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], deadline - time.monotonic())
            if not ready:
                self.kill()
                raise ServerDidNotStart(None, f"no ready line within {START_SECONDS} s\n" +
                                        self.log()[-4000:])
            byte = os.read(self.process.stdout.fileno(), 4096)
            if not byte:
                break
            line += byte
        return line.decode()

    def start_and_kill(self, after):
        """Kills it `after` seconds into its start; False if it had ended before."""
        args = [str(CAXTON), "server", "start", "--data-dir", str(self.data), "--listen", self.grpc,
                "--http", self.http, *self.options]
        process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=self._log,
                                   start_new_session=True)
        time.sleep(after)
        ended = process.poll() is not None
        children = children_of(process.pid)
        process.kill()
        process.wait()
        if self._leftovers(children):
            raise AssertionError("workers outlived a server that was killed while it started")
        return not ended

    @property
    def pid(self):
        return self.process.pid

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9; returns once its workers are gone too."""
        self._end(signal.SIGKILL, 15)

    def stop(self, timeout=20):
        """SIGTERM; returns the exit status."""
        return self._end(signal.SIGTERM, timeout)

    def _end(self, signal_number, timeout):
        if not self.running():
            return self.process.returncode if self.process else None
        children = children_of(self.pid)
        self.process.send_signal(signal_number)
        try:
            self.process.wait(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError(f"the server did not end within {timeout} s") from None
        finally:
            self.process.stdout.close()
            left = self._leftovers(children)
        if left:
            raise AssertionError(f"processes {left} outlived their server")
        return self.process.returncode

    @staticmethod
    def _leftovers(children):
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            left = [child for child in children if process_exists(child)]
            if not left:
                return []
            time.sleep(POLL_SECONDS)
        for child in left:
            with contextlib.suppress(OSError):
                os.kill(child, signal.SIGKILL)
        return left

    def close(self):
        try:
            if self.running():
                self.kill()
        finally:
            self._log.close()

    def log(self):
        return self._log_path.read_text(errors="replace")


class CaxtonTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="caxton-test-"))
        self.addCleanup(self._clean_folder)
        self.current = None

    def _clean_folder(self):
        failed = any(error for _, error in getattr(self._outcome, "errors", [])) or not getattr(
            self._outcome, "success", True)
        if failed and self.current is not None:
            sys.stderr.write(f"--- end of the server's log ({self.id()})\n")
            sys.stderr.write(self.current.log()[-6000:] + "\n---\n")
        shutil.rmtree(self.folder, ignore_errors=True)

    # ---- server

    def server(self, *options, data_dir=None, start=True, folder=None):
        folder = pathlib.Path(folder) if folder else self.folder
        folder.mkdir(exist_ok=True)
        server = Server(folder, options, data_dir)
        self.addCleanup(server.close)
        self.current = server
        return server.start() if start else server

    # ---- command line

    def environment(self):
        env = {k: v for k, v in os.environ.items() if not k.startswith("CAXTON_")}
        if self.current is not None:
            env["CAXTON_SERVER"] = self.current.grpc
        return env

    def run_cli(self, *args, stdin=None, timeout=COMMAND_SECONDS):
        args = [str(arg) for arg in args]
        done = subprocess.run([str(CAXTON), *args], env=self.environment(), input=stdin,
                              capture_output=True, timeout=timeout)
        return Result(args, done.returncode, done.stdout.decode(errors="replace"),
                      done.stderr.decode(errors="replace"))

    def cli(self, *args, code=DONE, **options):
        """Runs a command that must end with this exit status."""
        result = self.run_cli(*args, **options)
        if result.code != code:
            self.fail(f"exit {result.code}, not {code}: {result}")
        return result

    def cli_json(self, *args, code=DONE, **options):
        return self.cli(*args, "--output", "json", code=code, **options).json()

    def refused(self, *args, code, says=(), fix=True, **options):
        """A command that must fail with this exit status, an error that says so, and a way out."""
        result = self.cli(*args, code=code, **options)
        text = result.err
        self.assertIn("Error: ", text, str(result))
        if fix:
            self.assertIn("To fix: ", text, str(result))
        for part in [says] if isinstance(says, str) else says:
            self.assertIn(part.lower(), text.lower(), str(result))
        self.assertEqual(result.out, "", "results only on stdout")
        return result

    # ---- metrics

    def metrics(self):
        """{(name, ((label, value), ...)): number}"""
        with urllib.request.urlopen(f"http://{self.current.http}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        values = {}
        for line in text.splitlines():
            if line.startswith("#"):
                continue
            name, labels, value = METRIC.match(line).groups()
            values[(name, tuple(sorted(LABEL.findall(labels or ""))))] = float(value)
        return values

    def metric(self, name, **labels):
        """Of one series; 0 where there is none."""
        return self.metrics().get((name, tuple(sorted(labels.items()))), 0.0)

    # ---- what most tests do

    def deploy(self, path, name, *options, code=DONE, **kwargs):
        return self.cli("deploy", path, "--name", name, *options, code=code, **kwargs)

    def deploy_detached(self, path, name, *options):
        return self.cli_json("deploy", path, "--name", name, "--detach", *options)["deploymentId"]

    def deploy_from(self, yaml, path, name, *options, code=DONE):
        """Deploys with a deployment file of this text."""
        file = self.folder / f"{name}.yaml"
        file.write_text(yaml)
        return self.cli("deploy", path, "--name", name, "-f", file, *options, code=code)

    def request(self, agent, data, *options):
        return self.cli("message", "request", agent, "--data", data, *options).out

    def deployment(self, target):
        return self.cli_json("deployment", "show", target)["deployment"]

    def status(self):
        return self.cli_json("server", "status")

    def agent(self, name):
        return self.cli_json("agent", "inspect", name)["agent"]

    def workers(self, revision=None):
        return [w for w in self.status()["workers"]
                if int(w["pid"]) > 0 and (revision is None or w["revision"] == revision)]

    def wait_deployment(self, target, condition, what, timeout=20.0):
        box = {}

        def look():
            box["last"] = self.deployment(target)
            return condition(box["last"])

        try:
            wait_until(look, what, timeout, poll=0.05)
        except AssertionError as error:
            last = {k: v for k, v in box["last"].items() if k not in ("spec", "validation")}
            raise AssertionError(f"{error}\n{json.dumps(last, indent=1)}") from None
        return box["last"]

    def load(self, agent, *options, name="load"):
        load = Load(["load", agent, "--output", "json", *map(str, options)], self.environment(),
                    self.folder / f"{name}.log")
        self.addCleanup(load.close)
        return load

    def assert_clean_load(self, result, at_least=1):
        """Nothing lost, doubled, out of order or failed, and the load had something to do."""
        summary = result.json()
        for field in ("errors", "lost", "doubled", "outOfOrder", "failureReplies", "mismatched"):
            self.assertEqual(summary[field], 0, f"{field}: {result}")
        self.assertEqual(result.code, DONE, str(result))
        self.assertGreaterEqual(summary["acknowledged"] + summary["answered"], at_least)
        return summary

    def assert_adds_up(self):
        """accepted = completed + dead-lettered + dropped + waiting, as the server shows it."""
        status = self.status()
        counts = {k: int(v) for k, v in status["messages"].items()}
        self.assertEqual(
            counts["accepted"],
            counts["completed"] + counts["deadLettered"] + counts["dropped"] + counts["waiting"],
            counts)
        self.assertTrue(status["messagesAddUp"], counts)
        return counts

    def wait_idle(self, timeout=20.0):
        """Until nothing waits any more; returns the counts."""
        wait_until(lambda: int(self.status()["messages"]["waiting"]) == 0, "no message waits",
                   timeout, poll=0.05)
        return self.assert_adds_up()


def main():
    unittest.main(verbosity=2, buffer=False)

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The server as a process: what doctor sees, the service manager, a disk that fails, a stop in the middle."""
import os
import resource
import socket
import time

import harness
from harness import example, wait_until

EXIT_JOURNAL = 70     # after a failed write nothing that the server believes is certain
STOP_LIMIT = 10.0     # kStopLimitNs
RETAINED_MIB = 64     # kDefaultMaxRetainedBytes


class Process(harness.CaxtonTest):
    def test_doctor(self):
        self.server()

        def checks():
            return {check["name"]: check for check in self.cli_json("server", "doctor")["checks"]}

        self.assertIn("no worker has been started", checks()["jail"]["detail"])
        self.deploy(example("echo"), "echo")
        seen = checks()
        self.assertEqual(set(seen), {"worker", "cgroups", "disk", "open files", "jail"})
        # What it says of the jail is what the worker said.
        logged = [line for line in self.current.log().splitlines() if "not_enforced" in line]
        if logged:
            self.assertEqual(seen["jail"]["status"], "WARNING")
            missing = seen["jail"]["detail"].partition("enforce: ")[2]
            self.assertTrue(missing and missing in logged[0], (missing, logged))
            self.assertTrue(seen["jail"]["fix"])
        else:
            self.assertEqual(seen["jail"]["status"], "OK")
        text = self.cli("server", "doctor").out
        for name, check in seen.items():
            self.assertIn(f"{name}: {check['detail']}", text)

    def test_the_service_manager_is_told(self):
        path = self.folder / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(path))
            manager.settimeout(harness.START_SECONDS)
            server = self.server(start=False)
            server.popen_options = {"env": {**os.environ, "NOTIFY_SOCKET": str(path)}}
            server.start()
            self.assertIn(b"READY=1", manager.recv(4096))
            self.assertEqual(server.stop(), 0)
            self.assertIn(b"STOPPING=1", manager.recv(4096))

    def test_a_write_error_ends_the_process_and_loses_nothing_acknowledged(self):
        server = self.server(start=False)
        # Python ignores SIGXFSZ, and so does then its child: a write beyond the limit fails.
        server.popen_options = {"restore_signals": False}
        server.start()
        self.deploy(example("echo"), "echo")
        files = [path.stat().st_size for path in server.data.rglob("*") if path.is_file()]
        limit = max(files) + (64 << 10)
        resource.prlimit(server.pid, resource.RLIMIT_FSIZE, (limit, limit))
        acknowledged = 0
        for _ in range(1000):
            if self.run_cli("message", "send", "echo", "--data", "x" * 4096, "--timeout", "5s").code:
                break
            acknowledged += 1
        self.assertGreater(acknowledged, 0)
        self.assertEqual(server.process.wait(timeout=20), EXIT_JOURNAL)
        self.assertIn("the journal cannot be written", server.log())
        server.process.stdout.close()
        server.popen_options = {}
        server.start()
        counts = self.wait_idle()
        # The last one may have reached the disk before its acknowledgement failed.
        self.assertIn(counts["completed"], (acknowledged, acknowledged + 1))

    def test_a_stop_cuts_a_longer_step_and_loses_nothing(self):
        server = self.server()
        self.deploy(example("greeter-1"), "greeter")
        # Its steps run for minutes; the deadline is longer still.
        self.deploy_from("resources: { deadline: 10m }\n", example("greeter-2-slow"), "greeter",
                         "--set", "slow_percent=100", "--set", "spin=400000000000")
        self.cli("message", "send", "greeter", "--data", "Ada")
        worker = wait_until(lambda: next(iter(self.workers("greeter@2")), None), "it has a worker")

        def busy():
            with open(f"/proc/{worker['pid']}/stat") as stat:
                return int(stat.read().rpartition(")")[2].split()[11]) > 20  # ticks of its own

        wait_until(busy, "the step runs")
        began = time.monotonic()
        self.assertEqual(server.stop(timeout=STOP_LIMIT + 20), 0)
        took = time.monotonic() - began
        self.assertGreaterEqual(took, STOP_LIMIT)
        self.assertLess(took, STOP_LIMIT + 8)
        server.start()
        counts = self.assert_adds_up()
        self.assertEqual((counts["accepted"], counts["waiting"]), (1, 1), counts)
        self.assertEqual(self.cli_json("rollback", "greeter")["toRevision"], "greeter@1")
        self.assertEqual(self.wait_idle()["completed"], 1)

    def test_a_tail_says_where_rows_were_trimmed(self):
        self.server()
        self.deploy(example("echo"), "echo")
        self.cli("message", "tail", "echo")  # from here on it is kept
        self.cli("message", "send", "echo", "--data", "the first one")
        self.wait_idle()
        first = self.cli("message", "tail", "echo", "--from", "start", "--output", "json").events()[0]
        tail = ("message", "tail", "echo", "--from", first["cursor"])
        big = 256 << 10
        self.cli("load", "echo", "--send", "--count", (RETAINED_MIB << 20) // big + 8, "--size", big,
                 "--outstanding", "8")
        self.wait_idle()
        events = self.cli(*tail, "--output", "json").events()
        self.assertTrue(events[0]["gap"], str(events[0])[:500])
        self.assertFalse(any(event.get("gap") for event in events[1:]))
        self.assertIn("not kept any more", self.cli(*tail).err)


if __name__ == "__main__":
    harness.main()

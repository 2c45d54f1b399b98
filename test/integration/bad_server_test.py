#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that cannot start or go on: directory and port in use, formats, damage, a full disk."""
import contextlib
import os
import pathlib
import shutil
import signal
import socket
import subprocess

import harness
from harness import REFUSED, UNREACHABLE, USAGE, example

RESERVE_MIB = 512  # what the journal keeps free


class BadServer(harness.CaxtonTest):
    def does_not_start(self, server, *says, extra=()):
        with self.assertRaises(harness.ServerDidNotStart) as caught:
            server.start(extra)
        error = caught.exception
        self.assertIsNotNone(error.code, error.err)
        self.assertNotEqual(error.code, 0)
        self.assertGreater(error.code, 0, f"ended by a signal: {error.err}")
        for part in says:
            self.assertIn(part, error.err)
        return error

    def test_data_directory_in_use(self):
        first = self.server()
        second = harness.Server(self.folder, data_dir=first.data)
        self.addCleanup(second.close)
        self.does_not_start(second, str(first.data), "To fix: ")
        self.assertTrue(first.running())
        self.status()

    def test_port_in_use(self):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = f"127.0.0.1:{taken.getsockname()[1]}"
            server = self.server(start=False)
            number = port.rpartition(":")[2]
            server.grpc = port
            error = self.does_not_start(server, f"port {number} is in use", "To fix: ", "--listen")
            self.assertNotIn(".cc:", error.err, "gRPC's own words")
            server.grpc, server.http = "127.0.0.1:0", port
            self.does_not_start(server, f"port {number} is in use", "To fix: ", "--http")

    def test_only_loopback(self):
        server = self.server(start=False)
        server.grpc = "0.0.0.0:0"
        error = self.does_not_start(server, "loopback", "Reason: NOT_CARRIED_OUT", "To fix: ")
        self.assertEqual(error.code, REFUSED)
        server.grpc = "foo"
        self.assertEqual(self.does_not_start(server, "--listen", "'foo' is no address").code, USAGE)

    def test_time_scale_needs_dev(self):
        self.does_not_start(self.server("--time-scale", "60", start=False), "--dev")

    def test_data_directory_is_not_one(self):
        file = self.folder / "file"
        file.write_text("x")
        self.does_not_start(self.server(data_dir=file, start=False), str(file))

    def wal_files(self, data):
        return sorted((p for p in data.rglob("*.log") if p.stem.isdigit()),
                      key=lambda p: p.stat().st_size)

    def test_corrupted_journal(self):
        server = self.server()
        self.deploy(example("echo"), "echo")
        load = self.run_cli("load", "echo", "--send", "--count", "2000", "--keys", "10", "--ledger",
                            self.folder / "l")
        self.assertEqual(load.code, 0, str(load))
        server.kill()
        wal = self.wal_files(server.data)[-1]
        size = wal.stat().st_size
        with open(wal, "r+b") as file:
            file.seek(size // 2)
            file.write(b"\xde\xad\xbe\xef" * 64)
        self.does_not_start(server, "To fix: ", "--accept-loss")
        # Nothing was thrown away by the look: it still refuses, and starts when told so.
        self.does_not_start(server, "--accept-loss")
        server.start(["--accept-loss"])
        self.assert_adds_up()
        server.kill()
        server.start()
        self.status()

    def test_no_server(self):
        server = self.server()
        server.stop()
        self.refused("agent", "list", "--timeout", "2s", code=UNREACHABLE, says="caxton server start")
        self.refused("message", "request", "x", "--data", "y", "--timeout", "2s", code=UNREACHABLE)

    def test_a_half_written_directory_is_finished(self):
        # Killed at any moment of its first start, it starts the next time.
        server = self.server(start=False)
        args = [str(harness.CAXTON), "server", "start", "--data-dir", str(server.data), "--listen",
                "127.0.0.1:0", "--http", "127.0.0.1:0"]
        for _ in range(5):
            process = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with contextlib.suppress(AssertionError):
                harness.wait_until(lambda: server.data.exists() and
                                   len(list(server.data.rglob("*"))) > 3, "some files", 2)
            process.send_signal(signal.SIGKILL)
            process.wait()
            server.start()
            server.kill()
            shutil.rmtree(server.data)


class DiskFull(harness.CaxtonTest):
    def mount(self, mebibytes):
        folder = self.folder / "disk"
        folder.mkdir()
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mebibytes}m", "tmpfs", str(folder)],
                              capture_output=True, text=True)
        if done.returncode != 0:
            self.skipTest(f"no small disk: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", "-l", str(folder)], check=True)
        return folder

    def test_ingress_stops_at_the_reserve_and_comes_back(self):
        disk = self.mount(RESERVE_MIB + 128)
        server = self.server(data_dir=disk / "data")
        self.deploy(example("echo"), "echo")
        self.cli("message", "send", "echo", "--data", "before")
        filler = disk / "filler"
        with open(filler, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, 160 << 20)
        refused = harness.wait_until(
            lambda: (lambda r: r if r.code == REFUSED else None)(
                self.run_cli("message", "send", "echo", "--data", "x")),
            "messages are refused", poll=0.2)
        self.assertIn("DISK_RESERVE", refused.err)
        self.assertIn("To fix: ", refused.err)
        self.wait_idle()
        filler.unlink()
        harness.wait_until(lambda: self.run_cli("message", "send", "echo", "--data", "x").code == 0,
                           "accepted again", poll=0.2)
        server.kill()
        server.start()
        self.wait_idle()

    def test_a_full_disk_loses_nothing_acknowledged(self):
        disk = self.mount(RESERVE_MIB + 64)
        server = self.server(data_dir=disk / "data")
        self.deploy(example("ledger"), "ledger")
        self.deploy(example("intake"), "intake")
        self.cli("message", "tail", "ledger")
        ledger = self.folder / "l"
        sent = self.run_cli("load", "intake", "--send", "--count", "500", "--keys", "10", "--ledger",
                            ledger)
        self.assertEqual(sent.code, 0, str(sent))
        filler = disk / "filler"
        with open(filler, "wb") as file:  # beyond the reserve: nothing at all is left
            block = b"x" * (1 << 20)
            with contextlib.suppress(OSError):
                while True:
                    file.write(block)
                    file.flush()
        load = self.load("intake", "--send", "--count", "300", "--keys", "10", "--ledger", ledger)
        # Refused, or the server stopped; or all went into room that the store had reserved before.
        harness.wait_until(
            lambda: not server.running() or not load.running()
            or " DISK_RESERVE" in ledger.read_text(), "no room", poll=0.1)
        filler.unlink()
        if not server.running():  # an fsync error stops the process
            self.assertIn("disk", server.log().lower())
            server.start()
        self.assert_clean_load(load.wait(), at_least=300)
        tail = self.cli_json("load", "intake", "--send", "--ledger", ledger, "--keys", "10",
                             "--verify-tail", "ledger", "--expect-from-ledger")["tail"]
        self.assertEqual((tail["lost"], tail["doubled"], tail["outOfOrder"]), (0, 0, 0), tail)
        self.assertEqual(tail["expected"], 800)


if __name__ == "__main__":
    harness.main()

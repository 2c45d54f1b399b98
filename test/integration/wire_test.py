#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Calls that no honest client makes: a forged sender, results left unread, frames that are too long."""
import h2c
import harness
from harness import REFUSED, example
from h2c import bytes_field, int_field

ENVELOPE_SENDER, ENVELOPE_RECEIVER, ENVELOPE_CONTENT, ENVELOPE_DELIVERY = 2, 3, 9, 15
VOLATILE = 2
MIB = 1 << 20
READ_NO_FURTHER_MIB = 16       # kMaxExchangeUnansweredBytes
MAX_ITEMS_PER_FRAME = 4096     # kMaxExchangeItemsPerFrame


class Wire(harness.CaxtonTest):
    def test_the_sender_is_set_by_the_server(self):
        self.server()
        self.deploy(example("echo"), "echo")
        self.cli("message", "tail", "echo")  # from here on it is kept
        envelope = (bytes_field(ENVELOPE_SENDER, b"agent:boss") + bytes_field(ENVELOPE_RECEIVER, b"echo") +
                    bytes_field(ENVELOPE_CONTENT, b"x"))
        self.assertIsNotNone(h2c.unary(self.current.grpc, "/caxton.v1.Messaging/Send",
                                       bytes_field(1, envelope)))
        with h2c.Call(self.current.grpc, "/caxton.v1.Messaging/Exchange") as call:
            item = int_field(1, 1) + bytes_field(2, envelope)
            call.send(bytes_field(1, item), last=True)
            self.assertEqual(len(call.messages()), 1)
        self.wait_idle()
        events = self.cli("message", "tail", "echo", "--from", "start", "--output", "json").events()
        senders = [event["envelope"]["sender"] for event in events if "envelope" in event]
        self.assertEqual(len(senders), 2, events)
        for sender in senders:
            self.assertRegex(sender, r"^client:[0-9a-f]+$")

    def test_tracing_one_message_is_refused_by_name(self):
        self.server()
        self.refused("message", "trace", "m-1", code=REFUSED, says="NOT_CARRIED_OUT")

    # ---- an Exchange stream against its server

    def memory(self):
        with open(f"/proc/{self.current.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmRSS:"))
        return int(line.split()[1]) << 10

    def item(self, number, size):
        envelope = (bytes_field(ENVELOPE_RECEIVER, b"echo") + bytes_field(ENVELOPE_CONTENT, b"x" * size) +
                    int_field(ENVELOPE_DELIVERY, VOLATILE))
        return bytes_field(1, int_field(1, number) + bytes_field(2, envelope) + int_field(3, 1))

    def test_a_client_that_does_not_read_is_read_no_further(self):
        self.server()
        self.deploy(example("echo"), "echo")
        before = self.memory()
        most = 160  # of a MiB each, ten times what is taken
        with h2c.Call(self.current.grpc, "/caxton.v1.Messaging/Exchange", reads=False) as call:
            taken = 0
            while taken < most and call.send(self.item(taken + 1, MIB), timeout=3):
                taken += 1
            self.assertFalse(call.ended)
            self.assertLess(taken, most // 2, "the server takes what nobody reads the answers of")
            self.assertGreaterEqual(taken, READ_NO_FURTHER_MIB - 1)
            self.assertLess(self.memory() - before, 5 * READ_NO_FURTHER_MIB * MIB)
        self.assertEqual(self.request("echo", "still there"), "still there")

    def test_a_frame_of_too_many_items(self):
        self.server()
        self.deploy(example("echo"), "echo")
        with h2c.Call(self.current.grpc, "/caxton.v1.Messaging/Exchange") as call:
            call.send(b"".join(self.item(i, 1) for i in range(1, MAX_ITEMS_PER_FRAME + 2)))
            self.assertEqual(call.messages(), [])
            self.assertIn(b"at most 4096 are taken", call.trailers)
        self.assertEqual(self.status()["messages"]["accepted"], "0")

    # ---- an upload

    def test_a_frame_of_an_upload_that_is_too_long(self):
        self.server()
        path = "/caxton.v1.AgentDeployment/UploadModule"
        for size, taken in ((MIB, True), (MIB + 1, False)):
            with h2c.Call(self.current.grpc, path) as call:
                call.send(bytes_field(1, b"x" * size), last=True)
                self.assertEqual(len(call.messages()), 1 if taken else 0)
                self.assertEqual(b"a frame holds at most" in call.trailers, not taken)


if __name__ == "__main__":
    harness.main()

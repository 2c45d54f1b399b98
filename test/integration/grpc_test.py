#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What generic gRPC tools expect of a server: health and reflection, asked by a client that knows
nothing of Caxton."""
import re

import grpc_client
import harness

HEALTH = "/grpc.health.v1.Health/Check"
REFLECTION = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
SERVING = b"\x08\x01"  # HealthCheckResponse{status: 1}


def text(field, value):
    """A field of type string, as protobuf encodes it."""
    return bytes([field << 3 | 2, len(value)]) + value.encode()


class Grpc(harness.CaxtonTest):
    def setUp(self):
        super().setUp()
        self.server()

    def ask(self, path, request):
        return grpc_client.call(self.current.grpc, path, request)

    def reflect(self, request):
        answers = self.ask(REFLECTION, request)
        self.assertEqual(len(answers), 1)
        return answers[0]

    def services(self):
        """{service: its methods}, by the .proto files."""
        found = {}
        for path in sorted((harness.ROOT / "proto/caxton/v1").glob("*.proto")):
            source = path.read_text()
            for name, body in re.findall(r"^service (\w+) \{(.*?)^\}", source, re.M | re.S):
                found[f"caxton.v1.{name}"] = re.findall(r"^  rpc (\w+)\(", body, re.M)
        self.assertGreaterEqual(len(found), 5)
        return found

    def test_health(self):
        self.assertEqual(self.ask(HEALTH, b""), [SERVING])
        for service in self.services():
            self.assertEqual(self.ask(HEALTH, text(1, service)), [SERVING], service)
        self.assertEqual(self.ask(HEALTH, text(1, "nobody.Service")), [])  # NOT_FOUND

    def test_reflection(self):
        listed = self.reflect(text(7, ""))  # list_services
        for service, methods in self.services().items():
            self.assertIn(text(1, service), listed)
            file = self.reflect(text(4, service))  # file_containing_symbol
            for method in methods:
                self.assertIn(text(1, method), file, service)
        self.assertIn(text(1, "grpc.health.v1.Health"), listed)
        self.assertIn(text(1, "Check"), self.reflect(text(4, "grpc.health.v1.Health")))


if __name__ == "__main__":
    harness.main()

# SPDX-License-Identifier: Apache-2.0
"""As much of gRPC as a test needs that must not depend on our own client: one call on a connection
of its own, messages as bytes. Nothing is indexed or Huffman-coded in what it sends, and of what it
gets it reads the messages only; a call that fails answers none.

Every call ends with its connection; a server that is silent for TIMEOUT_SECONDS is an error.
"""
import socket
import struct

TIMEOUT_SECONDS = 20
WINDOW = 1 << 24  # bytes; more than any answer here
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
INITIAL_WINDOW_SIZE = 4


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def literal(text):
    assert len(text) < 127
    return bytes([len(text)]) + text.encode()


def headers(path, authority):
    fields = ((":method", "POST"), (":scheme", "http"), (":path", path), (":authority", authority),
              ("content-type", "application/grpc"), ("te", "trailers"))
    return b"".join(b"\0" + literal(name) + literal(value) for name, value in fields)


def exactly(connection, size):
    data = b""
    while len(data) < size:
        chunk = connection.recv(size - len(data))
        if not chunk:
            raise ConnectionError("the server closed the connection")
        data += chunk
    return data


def messages(data):
    while data:
        size = struct.unpack(">I", data[1:5])[0]
        yield data[5:5 + size]
        data = data[5 + size:]


def call(address, path, request):
    """The messages that answer `request`, both encoded. path: /package.Service/Method"""
    host, _, port = address.rpartition(":")
    body = b""
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_SECONDS) as connection:
        connection.sendall(
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" +
            frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, WINDOW)) +
            frame(WINDOW_UPDATE, 0, 0, struct.pack(">I", WINDOW)) +
            frame(HEADERS, END_HEADERS, 1, headers(path, address)) +
            frame(DATA, END_STREAM, 1, b"\0" + struct.pack(">I", len(request)) + request))
        while True:
            head = exactly(connection, 9)
            kind, flags, stream = struct.unpack(">BBI", head[3:])
            payload = exactly(connection, int.from_bytes(head[:3], "big"))
            if kind == GOAWAY:
                raise ConnectionError(f"the server wants no more: {payload!r}")
            if kind in (SETTINGS, PING) and not flags & ACK:
                connection.sendall(frame(kind, ACK, 0, payload if kind == PING else b""))
            if kind == DATA:
                body += payload
            if stream == 1 and kind in (DATA, HEADERS) and flags & END_STREAM:
                return list(messages(body))

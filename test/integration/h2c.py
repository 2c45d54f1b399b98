# SPDX-License-Identifier: Apache-2.0
"""gRPC as it is on the wire: HTTP/2 without TLS over a socket, and protobuf by hand.

For calls that no honest client makes: one that does not read, or reads late, and minds the flow
control of what it sends (grpc_client.py does not). One call per connection.
"""
import socket
import struct
import time

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
MAX_FRAME = 16384
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def varint(number):
    out = b""
    while number > 127:
        out, number = out + bytes([number & 127 | 128]), number >> 7
    return out + bytes([number])


def bytes_field(field, value):
    """A string, bytes or message field of protobuf."""
    return varint(field << 3 | 2) + varint(len(value)) + value


def int_field(field, number):
    return varint(field << 3) + varint(number)


def frame(kind, flags, stream, payload):
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def header(name, value):
    """HPACK: a literal that is not indexed, without Huffman's code."""
    out = b"\0"
    for part in (name.encode(), value.encode()):
        assert len(part) < 127
        out += bytes([len(part)]) + part
    return out


class Call:
    """One gRPC call. `reads`: whether the server may send more than the first window."""

    def __init__(self, address, path, reads=True):
        host, port = address.rsplit(":", 1)
        self._socket = socket.create_connection((host, int(port)), timeout=30)
        self._reads = reads
        self._connection_window = self._stream_window = self._initial_window = 65535
        self._unread = b""
        self._data = b""
        self.trailers = b""
        self.ended = False
        head = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", address),
                ("content-type", "application/grpc"), ("te", "trailers")]
        self._socket.sendall(PREFACE + frame(SETTINGS, 0, 0, b"") +
                             frame(HEADERS, END_HEADERS, 1, b"".join(header(*h) for h in head)))

    def close(self):
        self._socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def send(self, message, last=False, timeout=10.0):
        """False if the server takes no more of it within `timeout`."""
        rest = b"\0" + struct.pack(">I", len(message)) + message
        deadline = time.monotonic() + timeout
        while rest:
            size = min(len(rest), MAX_FRAME, self._connection_window, self._stream_window)
            if size <= 0:
                if self.ended or time.monotonic() > deadline:
                    return False
                self._receive(0.05)
                continue
            flags = END_STREAM if last and size == len(rest) else 0
            self._socket.sendall(frame(DATA, flags, 1, rest[:size]))
            self._connection_window -= size
            self._stream_window -= size
            rest = rest[size:]
        self._receive(0)
        return True

    def messages(self, timeout=10.0):
        """What the server has sent once the call has ended."""
        deadline = time.monotonic() + timeout
        while not self.ended:
            if time.monotonic() > deadline:
                raise AssertionError(f"the call did not end within {timeout:g} s")
            self._receive(0.2)
        out, rest = [], self._data
        while len(rest) >= 5:
            size = struct.unpack(">I", rest[1:5])[0]
            out.append(rest[5:5 + size])
            rest = rest[5 + size:]
        return out

    def _receive(self, timeout):
        self._socket.settimeout(timeout or 0.0001)
        try:
            got = self._socket.recv(1 << 20)
            self._unread += got
            if not got:
                self.ended = True
        except TimeoutError:
            pass
        except ConnectionError:
            self.ended = True
        self._socket.settimeout(30)
        while len(self._unread) >= 9:
            size = int.from_bytes(self._unread[:3], "big")
            if len(self._unread) < 9 + size:
                return
            kind, flags = self._unread[3], self._unread[4]
            stream = int.from_bytes(self._unread[5:9], "big") & 0x7FFFFFFF
            payload, self._unread = self._unread[9:9 + size], self._unread[9 + size:]
            self._take(kind, flags, stream, payload)

    def _take(self, kind, flags, stream, payload):
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, len(payload), 6):
                name, value = struct.unpack(">HI", payload[at:at + 6])
                if name == 4:  # SETTINGS_INITIAL_WINDOW_SIZE
                    self._stream_window += value - self._initial_window
                    self._initial_window = value
            self._socket.sendall(frame(SETTINGS, ACK, 0, b""))
        elif kind == PING and not flags & ACK:
            self._socket.sendall(frame(PING, ACK, 0, payload))
        elif kind == WINDOW_UPDATE:
            room = struct.unpack(">I", payload)[0]
            if stream == 0:
                self._connection_window += room
            else:
                self._stream_window += room
        elif kind == DATA:
            self._data += payload
            if self._reads and payload:
                room = struct.pack(">I", len(payload))
                self._socket.sendall(frame(WINDOW_UPDATE, 0, 0, room) +
                                     frame(WINDOW_UPDATE, 0, 1, room))
            self.ended = self.ended or bool(flags & END_STREAM)
        elif kind == HEADERS:
            self.trailers = payload
            self.ended = self.ended or bool(flags & END_STREAM)
        elif kind in (RST_STREAM, GOAWAY):
            self.ended = True


def unary(address, path, request):
    """The answer's message; None if the call failed."""
    with Call(address, path) as call:
        call.send(request, last=True)
        answers = call.messages()
        return answers[0] if answers else None

#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks built agents against the ABI, without a host.

  check_examples.py [--max-bytes N] FILE.wasm...   exit 1 with one line per fault

What it looks at: exports of abi.md's section E with their types, one 32-bit
memory, imports from sections I and W only and with their types, no command
module, the manifest, no debug sections, the size.
"""

import argparse
import json
import sys

I32, I64, F64 = 0x7F, 0x7E, 0x7C
FUNCTION, MEMORY = 0, 2

REQUIRED = {"agent_alloc": ((I32,), (I32,)), "handle_message": ((I32, I32), (I32,))}
OPTIONAL = {
    "_initialize": ((), ()),
    "agent_init": ((), (I32,)),
    "agent_shutdown": ((), ()),
    "health_check": ((), (I32,)),
    "get_capabilities": ((), (I64,)),
}
LATER = {"handle_timer", "agent_apply", "agent_snapshot", "agent_restore", "agent_downgrade"}


def _i32s(count):
    return ((I32,) * count, (I32,))


IMPORTS = {
    "caxton": {
        "message_get": _i32s(3),
        "message_header_get": _i32s(4),
        "reply": _i32s(3),
        "message_new": _i32s(3),
        "message_set": _i32s(4),
        "message_header_set": _i32s(5),
        "message_send": _i32s(1),
        "config_get": _i32s(4),
        "now": ((), (I64,)),
        "random": _i32s(2),
        "log": ((I32, I32, I32), ()),
    },
    "wasi_snapshot_preview1": {
        "args_get": _i32s(2),
        "args_sizes_get": _i32s(2),
        "environ_get": _i32s(2),
        "environ_sizes_get": _i32s(2),
        "clock_time_get": ((I32, I64, I32), (I32,)),
        "random_get": _i32s(2),
        "fd_write": _i32s(4),
        "fd_read": _i32s(4),
        "fd_close": _i32s(1),
        "fd_seek": ((I32, I64, I32, I32), (I32,)),
        "fd_fdstat_get": _i32s(2),
        "fd_fdstat_set_flags": _i32s(2),
        "fd_prestat_get": _i32s(2),
        "fd_prestat_dir_name": _i32s(3),
        "path_open": ((I32, I32, I32, I32, I32, I64, I64, I32, I32), (I32,)),
        "poll_oneoff": _i32s(4),
        "sched_yield": _i32s(0),
        "proc_exit": ((I32,), ()),
    },
    "env": {
        "abort": ((I32, I32, I32, I32), ()),
        "seed": ((), (F64,)),
        "Date.now": ((), (F64,)),
    },
}


class Reader:
    """Reads the WebAssembly binary format; IndexError or ValueError where it is not."""

    def __init__(self, data):
        self.data = data
        self.at = 0

    def done(self):
        return self.at >= len(self.data)

    def byte(self):
        self.at += 1
        return self.data[self.at - 1]

    def u32(self):
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7

    def take(self, size):
        if self.at + size > len(self.data):
            raise ValueError("truncated")
        self.at += size
        return self.data[self.at - size : self.at]

    def name(self):
        return self.take(self.u32()).decode("utf-8")

    def limits(self):
        flags = self.byte()
        minimum = self.u32()
        maximum = self.u32() if flags & 1 else None
        return flags, minimum, maximum


class Module:
    """The parts of one module that the ABI speaks about."""

    def __init__(self, data):
        self.types = []
        self.imports = []  # (module, name, kind, type or None)
        self.functions = []  # types, imported ones first
        self.memories = []  # flags
        self.exports = {}  # name -> (kind, index)
        self.custom = {}  # name -> list of bytes
        if data[:8] != b"\0asm\x01\0\0\0":
            raise ValueError("not a core WebAssembly module")
        reader = Reader(data)
        reader.take(8)
        read = {
            1: self._types,
            2: self._imports,
            3: self._functions,
            5: self._memories,
            7: self._exports,
        }
        while not reader.done():
            section = reader.byte()
            body = Reader(reader.take(reader.u32()))
            if section == 0:
                name = body.name()
                self.custom.setdefault(name, []).append(body.data[body.at :])
            elif section in read:
                read[section](body)

    def _types(self, body):
        for _ in range(body.u32()):
            if body.byte() != 0x60:
                raise ValueError("a type that is no function")
            parameters = tuple(body.take(body.u32()))
            self.types.append((parameters, tuple(body.take(body.u32()))))

    def _imports(self, body):
        for _ in range(body.u32()):
            module, name, kind, type_ = body.name(), body.name(), body.byte(), None
            if kind == FUNCTION:
                type_ = self.types[body.u32()]
                self.functions.append(type_)
            elif kind == MEMORY:
                self.memories.append(body.limits()[0])
            elif kind == 1:
                body.byte()
                body.limits()
            else:
                body.take(2)
            self.imports.append((module, name, kind, type_))

    def _functions(self, body):
        for _ in range(body.u32()):
            self.functions.append(self.types[body.u32()])

    def _memories(self, body):
        for _ in range(body.u32()):
            self.memories.append(body.limits()[0])

    def _exports(self, body):
        for _ in range(body.u32()):
            name = body.name()
            self.exports[name] = (body.byte(), body.u32())


def show(type_):
    names = {I32: "i32", I64: "i64", F64: "f64", 0x7D: "f32"}
    parameters, results = (" ".join(names.get(t, hex(t)) for t in part) for part in type_)
    return f"({parameters}) -> ({results})"


def check_exports(module):
    if module.exports.get("memory", (None,))[0] != MEMORY:
        yield "exports no memory named 'memory'"
    if len(module.memories) != 1 or module.memories[0] > 1:
        yield "must have one memory, 32-bit and not shared"
    if "_start" in module.exports:
        yield "is a command module; build it with -mexec-model=reactor"
    for name in sorted(LATER & module.exports.keys()):
        yield f"exports '{name}', which this release does not carry out"
    for name, type_ in {**REQUIRED, **OPTIONAL}.items():
        if name not in module.exports:
            if name in REQUIRED:
                yield f"does not export '{name}'"
            continue
        kind, index = module.exports[name]
        if kind != FUNCTION or module.functions[index] != type_:
            yield f"exports '{name}' as something else than {show(type_)}"


def check_imports(module):
    if any(kind == MEMORY for _, _, kind, _ in module.imports):
        yield "imports its memory"
    for space, name, kind, type_ in module.imports:
        expected = IMPORTS.get(space, {}).get(name)
        if expected is None:
            yield f"imports {space}.{name}, which is not part of the ABI"
        elif kind != FUNCTION or type_ != expected:
            yield f"imports {space}.{name} as something else than {show(expected)}"


def check_custom(module):
    debug = sorted(name for name in module.custom if name.startswith(".debug"))
    if debug:
        yield f"carries debug sections: {', '.join(debug)}"
    if "name" not in module.custom:
        yield "carries no names, so a trap's backtrace would be numbers"
    manifests = module.custom.get("caxton.manifest", [])
    if len(manifests) > 1:
        yield "has more than one caxton.manifest"
    for text in manifests:
        try:
            manifest = json.loads(text.decode("utf-8"))
        except ValueError as error:
            yield f"has a manifest that is not JSON: {error}"
            continue
        if not isinstance(manifest, dict) or manifest.get("abi", 1) != 1:
            yield "has a manifest that is no object with abi 1"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--max-bytes", type=int, default=64 << 20)
    parser.add_argument("files", nargs="+")
    arguments = parser.parse_args()
    faults = 0
    for path in arguments.files:
        with open(path, "rb") as file:
            data = file.read()
        found = []
        if len(data) > arguments.max_bytes:
            found.append(f"has {len(data)} bytes, more than {arguments.max_bytes}")
        try:
            module = Module(data)
            for check in (check_exports, check_imports, check_custom):
                found.extend(check(module))
        except (IndexError, ValueError) as error:
            found.append(f"cannot be read: {error}")
        for fault in found:
            print(f"{path}: {fault}", file=sys.stderr)
        faults += len(found)
    print(f"{len(arguments.files)} modules, {faults} faults")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

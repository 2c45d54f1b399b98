# SPDX-License-Identifier: Apache-2.0
"""The modules of the corpus that no text describes well: damaged files, and things by the thousand.

MODULES maps a module's name to a function. It returns bytes, the file; or a text, a module in
WebAssembly text form; or a pair of a text and a manifest, bytes. All are made anew by each build.
"""

MEMORY = '(memory (export "memory") 32)\n'
ALLOC = '(func (export "agent_alloc") (param i32) (result i32) (i32.const 65536))\n'
HANDLE = '(func (export "handle_message") (param i32 i32) (result i32) (i32.const 0))\n'
AGENT = MEMORY + ALLOC + HANDLE

# Limits, as the project has them.
MODULE_BYTES = 64 << 20      # kMaxModuleBytes
MANIFEST_BYTES = 64 << 10    # kMaxManifestBytes
MANIFEST_DEPTH = 32          # kMaxManifestDepth

HEADER = b"\0asm\1\0\0\0"
END = b"\x0b"


def module(*fields):
    return "(module\n" + "".join(fields) + ")\n"


def leb(value):
    out = bytearray()
    while True:
        value, byte = value >> 7, value & 0x7F
        out.append(byte | (0x80 if value else 0))
        if not value:
            return bytes(out)


def section(id, body):
    return bytes([id]) + leb(len(body)) + body


def named(text):
    return leb(len(text)) + text


def custom(name, body):
    return section(0, named(name) + body)


def vector(items):
    return leb(len(items)) + b"".join(items)


def function(code):
    """A body without locals."""
    body = b"\0" + code + END
    return leb(len(body)) + body


def agent(after=b"", exports_before=()):
    """The least an agent is, as bytes; `after`: sections at its end."""
    types = [b"\x60\1\x7f\1\x7f", b"\x60\2\x7f\x7f\1\x7f"]
    bodies = [function(b"\x41\x80\x80\4"), function(b"\x41\0")]
    exports = list(exports_before) + [named(b"memory") + b"\2\0", named(b"agent_alloc") + b"\0\0",
                                      named(b"handle_message") + b"\0\1"]
    return (HEADER + section(1, vector(types)) + section(3, b"\2\0\1") +
            section(5, b"\1\0\x20") + section(7, vector(exports)) +
            section(10, vector(bodies)) + after)


# ---- good


def good_large_names():
    """A name section of a megabyte: a hundred thousand names for two functions."""
    names = vector([leb(i % 2) + named(b"f%06d" % i) for i in range(100_000)])
    return agent(custom(b"name", section(1, names)))


def good_damaged_names():
    """Names are for people: those that cannot be read name nothing."""
    return agent(custom(b"name", b"\1\xff\xff\xff\xff\x0f" + b"x" * 64))


def good_manifest_at_limits():
    depth = MANIFEST_DEPTH - 1
    manifest = b'{"name":"corpus","samples":[' + b",".join([b'{"content":""}'] * 32) + b'],'
    manifest += b'"consumes":{"REQUEST":{"const":' + b"[" * (depth - 2) + b"]" * (depth - 2) + b"}}}"
    return module(AGENT), manifest + b" " * (MANIFEST_BYTES - len(manifest))


def good_thousand_imports():
    imports = '(import "caxton" "now" (func (result i64)))\n' * 1000
    return module(imports, AGENT)


def good_many_exports():
    return module(AGENT, "".join(f'(export "e{i}" (memory 0))\n' for i in range(12_000)))


# ---- static


def too_large():
    return HEADER + bytes(MODULE_BYTES + 1 - len(HEADER))


def truncated():
    whole = agent()
    return whole[:len(whole) - 3]


def section_order():
    """The memory at the end."""
    memory = section(5, b"\1\0\x20")
    return agent().replace(memory, b"") + memory


def section_length():
    """A section that is longer than the file."""
    return agent() + b"\0\xff\xff\x03" + b"abc"


def import_long_name():
    return module(f'(import "env" "{"x" * 100_000}" (func))\n', AGENT)


# ---- manifests


def manifest_too_deep():
    return module(AGENT), b'{"x":' + b"[" * MANIFEST_DEPTH + b"]" * MANIFEST_DEPTH + b"}"


def manifest_bomb():
    """As deep as fits."""
    return module(AGENT), b"[" * MANIFEST_BYTES


def manifest_twice():
    return agent(custom(b"caxton.manifest", b"{}") * 2)


MODULES = {
    "good-large-names": good_large_names,
    "good-damaged-names": good_damaged_names,
    "good-manifest-at-limits": good_manifest_at_limits,
    "good-thousand-imports": good_thousand_imports,
    "good-many-exports": good_many_exports,
    "empty-file": lambda: b"",
    "text-form": lambda: module(AGENT).encode(),
    "shell-script": lambda: b"#!/bin/sh\necho hello\n",
    "native-program": lambda: b"\x7fELF\2\1\1" + bytes(57),
    "library-archive": lambda: b"!<arch>\nagent.o/        ",
    "gzip": lambda: b"\x1f\x8b\x08" + bytes(20),
    "zip": lambda: b"PK\3\4" + bytes(20),
    "bitcode": lambda: b"BC\xc0\xde" + bytes(20),
    "garbage": lambda: bytes(i * 37 % 256 for i in range(1, 2000)),
    "header-cut": lambda: HEADER[:6],
    "unknown-version": lambda: b"\0asm\7\0\0\0",
    "component": lambda: b"\0asm\x0d\0\1\0",
    "too-large": too_large,
    "truncated": truncated,
    "section-order": section_order,
    "section-length": section_length,
    "bad-utf8-name": lambda: agent(exports_before=[named(b"\xff\xfe") + b"\2\0"]),
    "import-long-name": import_long_name,
    "manifest-not-utf8": lambda: (module(AGENT), b'{"version":"\xff\xfe"}'),
    "manifest-too-deep": manifest_too_deep,
    "manifest-bomb": manifest_bomb,
    "manifest-too-large": lambda: (module(AGENT), b"{}".ljust(MANIFEST_BYTES + 1)),
    "manifest-twice": manifest_twice,
}

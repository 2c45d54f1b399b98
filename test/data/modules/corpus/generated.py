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
BR_TABLE_TARGETS = 65_000    # somewhat less than the engine takes
FUNCTION_BYTES = 2_500_000   # of 7.6 MB that it takes
LOCALS = 49_000              # of 50 000 that it takes

HEADER = b"\0asm\1\0\0\0"
I32 = b"\x7f"
BLOCK, LOOP, END = b"\x02\x40", b"\x03\x40", b"\x0b"
BR_IF, BR_TABLE = b"\x0d", b"\x0e"
GET_0, SET_0, CONST, ADD, MUL = b"\x20\0", b"\x21\0", b"\x41", b"\x6a", b"\x6c"


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


def function(code, locals=()):
    """A body: `locals` are pairs of a number and a type's byte."""
    body = vector([leb(count) + type for count, type in locals]) + code + END
    return leb(len(body)) + body


def agent(after=b"", exports_before=(), functions=()):
    """The least an agent is, as bytes. `functions`: more bodies, of type (i32) -> i32; `after`:
    sections at its end."""
    types = [b"\x60\1\x7f\1\x7f", b"\x60\2\x7f\x7f\1\x7f"]
    bodies = [function(b"\x41\x80\x80\4"), function(b"\x41\0")]
    exports = list(exports_before) + [named(b"memory") + b"\2\0", named(b"agent_alloc") + b"\0\0",
                                      named(b"handle_message") + b"\0\1"]
    return (HEADER + section(1, vector(types)) + section(3, vector([b"\0", b"\1"] + [b"\0"] * len(functions))) +
            section(5, b"\1\0\x20") + section(7, vector(exports)) +
            section(10, vector(bodies + list(functions))) + after)


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
    deepest = b"[" * (depth - 2) + b"]" * (depth - 2)
    manifest += b'"consumes":{"REQUEST":true,"QUERY":{"const":' + deepest + b"}}}"
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


# ---- compile bombs: what is not linear in the module's size, or is large when compiled


def bomb_nesting():
    """Fifty thousand blocks, each in the one before, with a way out of each: a minute and more."""
    depth = 50_000
    return agent(functions=[function((BLOCK + GET_0 + BR_IF + b"\0") * depth + END * depth + GET_0)])


def bomb_nested_loops():
    """Ten thousand loops, each in the one before, with a jump to the outermost: more than a gigabyte."""
    depth = 10_000
    loops = b"".join(LOOP + GET_0 + BR_IF + leb(i) for i in range(depth))
    return agent(functions=[function(loops + END * depth + GET_0)])


def bomb_one_function():
    """One function of 2.5 MB, multiplications one after the other: more than a gigabyte."""
    line = GET_0 + CONST + leb(123) + MUL + SET_0
    return agent(functions=[function(line * (FUNCTION_BYTES // len(line)) + GET_0)])


def bomb_tiny_functions():
    """Twenty thousand functions."""
    return agent(functions=[function(GET_0 + CONST + b"\1" + ADD)] * 20_000)


def bomb_br_table():
    """Ten functions with tables of 65 000 jumps to a thousand targets."""
    depth = 1_000
    targets = vector([leb(i % depth) for i in range(BR_TABLE_TARGETS)])
    code = BLOCK * depth + GET_0 + BR_TABLE + targets + b"\0" + END * depth + GET_0
    return agent(functions=[function(code)] * 10)


def bomb_locals():
    """A hundred functions, each with about as many locals as the engine takes, a thousand of them set."""
    code = b"".join(GET_0 + b"\x21" + leb(i) for i in range(1, LOCALS, 50)) + GET_0
    return agent(functions=[function(code, [(LOCALS, I32)])] * 100)


def bomb_values():
    """Five thousand values on the stack at once."""
    count = 5_000
    values = b"".join(GET_0 + CONST + leb(64 + i) + MUL for i in range(count))
    return agent(functions=[function(values + ADD * (count - 1))])


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
    "bomb-nesting": bomb_nesting,
    "bomb-nested-loops": bomb_nested_loops,
    "bomb-one-function": bomb_one_function,
    "bomb-tiny-functions": bomb_tiny_functions,
    "bomb-br-table": bomb_br_table,
    "bomb-locals": bomb_locals,
    "bomb-values": bomb_values,
}

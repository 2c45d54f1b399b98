#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Builds the modules that index.txt names.

  build.py CONVERTER OUT_FOLDER      CONVERTER: WebAssembly text on stdin, the module on stdout

NAME.wat (with NAME.json, its manifest, unchecked: many of them are faulty) or a function of
generated.py becomes OUT_FOLDER/NAME.wasm. What is none of these is somebody else's (the modules
in C: CMakeLists.txt).
"""
import pathlib
import subprocess
import sys

sys.dont_write_bytecode = True
import generated  # noqa: E402

HERE = pathlib.Path(__file__).resolve().parent
MANIFEST_SECTION = b"caxton.manifest"


def names():
    for line in (HERE / "index.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            yield line.split("|")[0].strip()


def convert(converter, text):
    return subprocess.run([converter], input=text.encode(), stdout=subprocess.PIPE, check=True).stdout


def build(converter, name):
    """The module's bytes; None: not ours."""
    text, manifest = HERE / f"{name}.wat", HERE / f"{name}.json"
    if name in generated.MODULES:
        made = generated.MODULES[name]()
    elif text.exists():
        made = text.read_text()
        if manifest.exists():
            made = made, manifest.read_bytes()
    else:
        return None
    if isinstance(made, bytes):
        return made
    text, manifest = made if isinstance(made, tuple) else (made, None)
    wasm = convert(converter, text)
    if manifest is not None:
        wasm += generated.custom(MANIFEST_SECTION, manifest)
    return wasm


def main():
    converter, out = sys.argv[1], pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in names():
        wasm = build(converter, name)
        if wasm is None:
            continue
        with open(out / f"{name}.wasm", "wb") as file:
            file.write(wasm.rstrip(b"\0"))
            file.truncate(len(wasm))  # zeros at the end take no room on disk


if __name__ == "__main__":
    main()

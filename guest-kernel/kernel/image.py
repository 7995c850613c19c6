#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Makes a bootable image of a linked kernel: fills in the symbol table that panics print from,
strips the rest, and keeps the unstripped file beside it for a debugger.

usage: image.py NM OBJCOPY LINKED IMAGE IMAGE.debug
"""
import os
import struct
import subprocess
import sys
import tempfile


def run(*command):
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def functions(nm, path):
    """(address, name) of every function, by address; one name for an address."""
    found = {}
    for line in run(nm, path).splitlines():
        words = line.split()
        if len(words) == 3 and words[1] in "tTwW" and not words[2].startswith("text_"):
            found.setdefault(int(words[0], 16), words[2])
    return sorted(found.items())


def table(symbols, room):
    """The layout that kernel/symbols.c reads, padded to `room` bytes."""
    entries, names = b"", b""
    base = 4 + 8 * len(symbols)
    for address, name in symbols:
        entries += struct.pack("<II", address, base + len(names))
        names += name.encode() + b"\0"
    blob = struct.pack("<I", len(symbols)) + entries + names
    if len(blob) > room:
        sys.exit(f"image.py: {len(symbols)} symbols take {len(blob)} bytes, and there is room for "
                 f"{room}: raise SYMBOLS_ROOM in kernel/symbols.c")
    return blob.ljust(room, b"\0")


def section_size(objcopy, path, section):
    with tempfile.NamedTemporaryFile() as out:
        run(objcopy, "-O", "binary", f"--only-section={section}", path, out.name)
        return os.path.getsize(out.name)


def main():
    nm, objcopy, linked, image, debug = sys.argv[1:]
    blob = table(functions(nm, linked), section_size(objcopy, linked, ".symbols"))
    with tempfile.NamedTemporaryFile() as symbols:
        symbols.write(blob)
        symbols.flush()
        run(objcopy, f"--update-section=.symbols={symbols.name}", linked, debug)
    run(objcopy, "--strip-all", debug, image)


main()

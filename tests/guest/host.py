#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The sample servers as Linux programs. usage: host.py FOLDER_OF_PROGRAMS"""
import os
import subprocess
import sys
import tempfile

import checks


def serve(program, *words):
    """A running server that has said it is ready."""
    server = subprocess.Popen([program, *words], stderr=subprocess.PIPE, text=True)
    line = server.stderr.readline()
    assert "ready after" in line, line
    return server


def check_end(server):
    server.terminate()
    checks.expect(server.wait(checks.HANG), 0)
    checks.expect(server.stderr.read(), "")


def check_bad_archive(program, folder):
    path = os.path.join(folder, "bad.tar")
    with open(path, "wb") as out:
        out.write(b"no archive" * 100)
    done = subprocess.run([program, f"initrd={path}", "port=8081"], stderr=subprocess.PIPE,
                          text=True, timeout=checks.HANG)
    checks.expect(done.returncode, 1)
    assert "not a tar archive" in done.stderr, done.stderr


def main():
    checks.own_network()
    tap = checks.Tap()
    programs = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        website = os.path.join(programs, "website")
        server = serve(website, f"initrd={checks.make_site(folder)}", "port=8080")
        checks.check_web(tap, "website", "127.0.0.1", 8080)
        tap.run("website: ends", check_end, server)
        server = serve(os.path.join(programs, "echo"))
        tap.run("echo: TCP", checks.check_echo_tcp, "127.0.0.1", 7)
        tap.run("echo: UDP", checks.check_echo_udp, "127.0.0.1", 7)
        tap.run("echo: ends", check_end, server)
        tap.run("website: an archive that is none", check_bad_archive, website, folder)
    tap.finish()


main()

#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""Runs end-to-end test files with pytest, in a network namespace of their own, and speaks TAP.

usage: run.py --build DIR FILE...
"""
import os
import shutil
import subprocess
import sys

import pytest


class Tap:
    """Prints one TAP line a test."""

    def __init__(self):
        self.count = 0

    def pytest_addoption(self, parser):
        # The terminal plugin is off, and its assertions ask for this option of it.
        parser.addoption("--verbose", dest="verbose", type=int, default=0)

    def say(self, ok, name, directive=""):
        self.count += 1
        print(f"{'ok' if ok else 'not ok'} {self.count} - {name}{directive}", flush=True)

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.split("/")[-1]
        if report.skipped:
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else ""
            self.say(True, name, f" # SKIP {reason.removeprefix('Skipped: ')}")
        elif report.failed:
            self.say(False, name if report.when == "call" else f"{name} ({report.when})")
            for line in str(report.longreprtext).splitlines():
                print("#", line)
            for title, text in report.sections:
                print("# ---", title)
                for line in text.splitlines():
                    print("#", line)
        elif report.when == "call":
            self.say(True, name)

    def pytest_collectreport(self, report):
        if report.failed:
            self.say(False, f"{report.nodeid} (collection)")
            for line in str(report.longreprtext).splitlines():
                print("#", line)


def enter_namespace():
    if os.geteuid() != 0 or not shutil.which("unshare"):
        print("1..0 # SKIP end-to-end tests need root and unshare(1), for a network of their own")
        sys.exit(0)
    os.environ["E2E_INSIDE"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, *sys.argv])


def main():
    if "E2E_INSIDE" not in os.environ:
        enter_namespace()
    build, files = sys.argv[2], sys.argv[3:]
    os.environ["E2E_BUILD"] = os.path.abspath(build)
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    tap = Tap()
    options = ["-p", "no:terminal", "-p", "no:cacheprovider", "--rootdir",
               os.path.dirname(os.path.abspath(__file__))]
    code = pytest.main([*options, *files], plugins=[tap])
    print(f"1..{tap.count}")
    sys.exit(1 if code not in (0, 1) else 0)


main()

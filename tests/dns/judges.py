# SPDX-License-Identifier: ISC
"""Other people's programs to compare with: NSD as a server of the same zone, or as a secondary."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import HANG, wait_for

ZONES = Path(__file__).resolve().parent / "zones"
os.environ["PATH"] += ":/usr/sbin:/sbin"


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed", allow_module_level=True)


class Judge:
    """One server in the foreground, on 127.0.0.1 at `port`, with a folder of its own. A subclass writes its
    configuration and says what is run."""
    program = None

    def __init__(self, port):
        self.folder = Path(tempfile.mkdtemp(prefix="summond-judge-"))
        self.port = port
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(self.command(), cwd=self.folder, stdin=subprocess.DEVNULL,
                                        stdout=self.log, stderr=self.log)
        try:
            wait_for(self.is_up, f"{self.program} to answer")
        except BaseException:
            self.stop()
            raise

    def command(self):
        raise NotImplementedError

    def write(self, text):
        (self.folder / "conf").write_text(text)
        return self.folder / "conf"

    def text(self):
        return (self.folder / "log").read_text(errors="replace")

    def is_up(self):
        assert self.process.poll() is None, self.text()
        done = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.port), "+tries=1", "+time=1",
                               "version.bind", "CH", "TXT"], capture_output=True, check=False)
        return done.returncode == 0

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(HANG)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()
        shutil.rmtree(self.folder)


def nsd_configuration(judge, rest, options=""):
    """What is the same for each NSD, and the rest."""
    return f"""
server:
    ip-address: 127.0.0.1@{judge.port}
    server-count: 1
    minimal-responses: yes
    rrl-ratelimit: 0
    username: ""
    chroot: ""
    zonesdir: "{judge.folder}"
    database: ""
    pidfile: "{judge.folder}/pid"
    xfrdfile: "{judge.folder}/xfrd"
    xfrdir: "{judge.folder}"
    zonelistfile: "{judge.folder}/zonelist"
    verbosity: 2
{options}
remote-control:
    control-enable: no
{rest}"""


class Nsd(Judge):
    """`extra` is more of its configuration, with the zone where that is more than a file."""
    program = "nsd"

    def __init__(self, port, zone, zonefile=None, extra="", options=""):
        self.zone, self.zonefile, self.extra, self.options = zone, zonefile, extra, options
        super().__init__(port)

    def command(self):
        if self.zonefile:
            shutil.copy(self.zonefile, self.folder / "zone")
        zone = "" if "zone:" in self.extra else f"zone:\n    name: {self.zone}\n    zonefile: zone\n"
        return ["nsd", "-d", "-c", self.write(nsd_configuration(self, self.extra + zone, self.options))]

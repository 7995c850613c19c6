# SPDX-License-Identifier: ISC
"""Other people's programs to compare with: NSD as a server of the same zone, or as a secondary."""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from harness import wait_for

ZONES = Path(__file__).resolve().parent / "zones"
os.environ["PATH"] += ":/usr/sbin:/sbin"


def need(*programs):
    for program in programs:
        if not shutil.which(program):
            pytest.skip(f"{program} is not installed", allow_module_level=True)


class Nsd:
    """One NSD in the foreground, on 127.0.0.1; `extra` is more of its configuration."""

    def __init__(self, port, zone, zonefile=None, extra="", options=""):
        self.folder = Path(tempfile.mkdtemp(prefix="summond-nsd-"))
        self.port = port
        if zonefile:
            shutil.copy(zonefile, self.folder / "zone")
        (self.folder / "conf").write_text(f"""
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    minimal-responses: yes
    rrl-ratelimit: 0
    username: ""
    chroot: ""
    zonesdir: "{self.folder}"
    database: ""
    pidfile: "{self.folder}/pid"
    xfrdfile: "{self.folder}/xfrd"
    xfrdir: "{self.folder}"
    zonelistfile: "{self.folder}/zonelist"
    verbosity: 2
    {options}
remote-control:
    control-enable: no
{extra if "zone:" in extra else extra + f'''
zone:
    name: {zone}
    zonefile: zone
'''}""")
        self.log = open(self.folder / "log", "wb")
        self.process = subprocess.Popen(["nsd", "-d", "-c", self.folder / "conf"],
                                        stdout=self.log, stderr=self.log)
        wait_for(self.is_up, "NSD to answer")

    def is_up(self):
        assert self.process.poll() is None, (self.folder / "log").read_text()
        done = subprocess.run(["dig", "@127.0.0.1", "-p", str(self.port), "+tries=1", "+time=1",
                               "version.bind", "CH", "TXT"], capture_output=True, check=False)
        return done.returncode == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(20)
        self.log.close()
        shutil.rmtree(self.folder)

# SPDX-License-Identifier: ISC
"""BIND, Knot, NSD and PowerDNS as secondaries of summond: each has the zones at once, hears of a
change, and finds one that it was not told of when it looks by itself."""
import base64
import shutil
import signal
import subprocess

import pytest
from harness import Summond, wait_for
from judges import need
from secondaries import Bind, Knot, Nsd, NsdOverUdp, PowerDns

need("dig")
SECRET = base64.b64encode(bytes(range(32))).decode()
# Beneath the zone's name: some compress it where it stands behind the question.
KEY = "xfr.told.test"
PORT = 5354
# One is told of changes, the other has to look.
TOLD, QUIET = "told.test", "quiet.test"
TEXT = """$TTL 60
@ SOA ns1 hostmaster {serial} {refresh} 1 604800 60
@ NS ns1
ns1 A 127.0.0.1
news TXT "{serial}"
"""
PROGRAMS = [Bind, Knot, Nsd, NsdOverUdp, PowerDns]


def write(summond, zone, serial):
    # Who is told would look by itself only in an hour.
    refresh = 3600 if zone == TOLD else 1
    (summond.folder / zone).write_text(TEXT.format(serial=serial, refresh=refresh))


def change(summond, zone, serial):
    write(summond, zone, serial)
    summond.process.send_signal(signal.SIGHUP)
    wait_for(lambda: serial_of(summond.port, zone) == serial, "the zone to change")


@pytest.fixture()
def summond():
    daemon = Summond(backend="sim", network=False)
    for zone in (TOLD, QUIET):
        write(daemon, zone, 1)
    daemon.config.write_text(daemon.config.read_text() + f"""
zone "{TOLD}" {{ file = "{daemon.folder / TOLD}"; transfer = [{KEY}]; notify = ["127.0.0.1@{PORT}"] }}
zone "{QUIET}" {{ file = "{daemon.folder / QUIET}"; transfer = [{KEY}] }}
tsig "{KEY}" {{ secret = "{SECRET}" }}
""")
    with daemon.start():
        yield daemon


def dig(port, name, rdtype):
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+time=1",
                           name, rdtype], capture_output=True, text=True, check=False)
    return done.stdout.strip()


def serial_of(port, zone):
    words = dig(port, zone, "SOA").split()
    return int(words[2]) if len(words) > 2 and words[2].isdigit() else None


@pytest.mark.parametrize("kind", PROGRAMS, ids=lambda kind: kind.__name__)
def test_a_secondary(summond, kind):
    if not shutil.which(kind.program):
        pytest.skip(f"{kind.program} is not installed")
    other = kind(PORT, (TOLD, QUIET), summond.port, (KEY, SECRET))
    try:
        for zone in (TOLD, QUIET):
            wait_for(lambda zone=zone: serial_of(PORT, zone) == 1, f"{kind.program} to have {zone}")
        assert dig(PORT, f"news.{TOLD}", "TXT") == '"1"'
        change(summond, TOLD, 2)
        wait_for(lambda: serial_of(PORT, TOLD) == 2, f"{kind.program} to hear of a change")
        assert dig(PORT, f"news.{TOLD}", "TXT") == '"2"'
        if kind.looks:
            change(summond, QUIET, 3)
            wait_for(lambda: serial_of(PORT, QUIET) == 3, f"{kind.program} to look by itself")
            assert dig(PORT, f"news.{QUIET}", "TXT") == '"3"'
        # Nothing that it asked was refused, or not understood.
        counters = summond.get("/v1/status")["counters"]["dns"]
        assert [counters[name] for name in ("refused", "malformed", "unsupported")] == [0, 0, 0]
    except AssertionError:
        print(other.text())
        raise
    finally:
        other.stop()

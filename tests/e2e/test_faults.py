# SPDX-License-Identifier: ISC
"""A start for which the daemon gets no descriptor, or finds what it needs taken: its client hears why, so
does `summonctl why`, nothing is left of it, and the next query is answered."""
import os
import re
import resource
import socket

import pytest
from harness import BACKENDS, Summond, backend_settings, wait_for
from net import ip, require_monitor
from space import check_same, picture, settled

NAME = "www.example.test"
# Spare taps are as the sim backend wants them: the guests of summon-vmm get theirs made.
CONFIG = f"""
network {{ address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112"; spare_taps = 1 }}
wake {{ per_source = none; per_service = none; total = none }}
{backend_settings("vmm", BACKENDS["vmm"])}
"""


@pytest.fixture(scope="module")
def summond():
    require_monitor()
    with Summond(CONFIG, backend="sim").start() as daemon:
        yield daemon
    ip("link", "del", "summon-bell", check=False)


@pytest.fixture(autouse=True)
def service(summond):
    """One of its addresses is outside the pool, and has a route of its own."""
    summond.policy("plain", backoff_first="1ms", backoff_max="1ms")
    yield summond.add(NAME, policy="plain", backend="vmm", image="hello",
                      addresses=["10.77.3.1", "10.77.201.1", "fd77::3:1"])
    summond.call("DELETE", f"/v1/services/{NAME}")
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "guests to end")


def descriptors(summond):
    return {int(name) for name in os.listdir(f"/proc/{summond.process.pid}/fd")}


def live(summond):
    answer = summond.dig(NAME)
    assert answer.status == "NOERROR" and answer.addresses, answer.text
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    summond.wait_state(NAME, "asleep")


def ask_with(summond, more):
    """While the daemon can have so many more descriptors than it has."""
    process, held = summond.process.pid, descriptors(summond)
    free = [number for number in range(1000) if number not in held]
    before = resource.prlimit(process, resource.RLIMIT_NOFILE)
    resource.prlimit(process, resource.RLIMIT_NOFILE, (free[more], before[1]))
    answer = summond.dig(NAME)
    resource.prlimit(process, resource.RLIMIT_NOFILE, before)
    return answer


def test_without_descriptors(summond):
    """At first it gets none, then one, and so on, until they suffice."""
    live(summond)
    before = settled(lambda: picture(summond))
    for more in range(100):
        answer = ask_with(summond, more)
        if answer.status == "NOERROR":
            break
        assert answer.status == "SERVFAIL", answer.text
        assert "Too many open files" in answer.ede_text, (more, answer.text)
        why = summond.ctl("why", NAME).stdout
        assert "Too many open files" in why, why
        summond.wait_state(NAME, "asleep")
        check_same(lambda: picture(summond), before, f"left over, with {more}")
        live(summond)
    assert more > 0 and answer.status == "NOERROR", answer.text


def test_a_tap_that_is_somebody_elses(summond):
    """Its name is passed over, and it is left as it is."""
    live(summond)
    known = [int(name[2:]) for _, name in socket.if_nameindex() if re.fullmatch(r"sm\d+", name)]
    taken = [f"sm{max(known) + more}" for more in range(1, 100)]
    for name in taken:
        ip("link", "add", name, "type", "bridge")
    before = settled(lambda: picture(summond))
    live(summond)
    check_same(lambda: picture(summond), before, "left over")
    for name in taken:
        ip("link", "del", name)

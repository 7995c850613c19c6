# SPDX-License-Identifier: ISC
"""Where many guests start at once, one CPU is left to those who ask for names that are awake; afterwards
each may use all of them, also where the daemon was killed meanwhile."""
import os
import signal
import socket

import pytest
from harness import Summond, question, wait_for
from net import require_monitor

ALL = os.sched_getaffinity(0)
NAMES = [f"g{number}.example.test" for number in range(40)]
CONFIG = "wake { per_source = none; per_service = none; total = none }"

pytestmark = pytest.mark.skipif(len(ALL) < 2, reason="one CPU cannot be left alone")


@pytest.fixture
def summond():
    require_monitor()
    with Summond(CONFIG, backend="vmm").start() as daemon:
        daemon.policy("cold", start="cold", retire="destroy")
        if os.getpriority(os.PRIO_PROCESS, daemon.process.pid) >= 0:
            pytest.skip("summond may not look after the CPUs of its guests (CAP_SYS_NICE)")
        for name in NAMES:
            daemon.add(name, policy="cold", image="hello")
        yield daemon


def affinity(pid):
    try:
        return os.sched_getaffinity(pid)
    except ProcessLookupError:
        return set()


def wake_all(summond):
    """All at once; returns when some guest leaves a CPU alone."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        summond.process.send_signal(signal.SIGSTOP)
        for name in NAMES:
            client.sendto(question(name), ("127.0.0.1", summond.port))
        summond.process.send_signal(signal.SIGCONT)
    wait_for(lambda: [pid for pid in summond.monitors()
                      if affinity(pid) and len(affinity(pid)) == len(ALL) - 1],
             "a guest that leaves a CPU alone")


def all_are_spread(summond):
    for name in NAMES:
        summond.wait_state(name, "awake")
    monitors = summond.monitors()
    assert len(monitors) == len(NAMES)
    wait_for(lambda: all(affinity(pid) == ALL for pid in monitors), "guests to use all CPUs")
    wait_for(lambda: affinity(summond.process.pid) == ALL, "the loop to do so")


def test_a_crowd_leaves_a_cpu_alone(summond):
    wake_all(summond)
    assert len(affinity(summond.process.pid)) == 1
    all_are_spread(summond)


def test_a_daemon_that_is_killed_in_a_crowd(summond):
    wake_all(summond)
    summond.kill()
    crowd = [pid for pid in summond.monitors() if len(affinity(pid)) == len(ALL) - 1]
    assert crowd
    summond.start()
    wait_for(lambda: all(affinity(pid) in (ALL, set()) for pid in crowd), "guests to use all CPUs")


def test_who_starts_alone_uses_all(summond):
    for name in NAMES[:3]:
        assert summond.dig(name).addresses
        summond.wait_state(name, "awake")
        assert all(affinity(pid) == ALL for pid in summond.monitors())
    assert affinity(summond.process.pid) == ALL

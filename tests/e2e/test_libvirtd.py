# SPDX-License-Identifier: ISC
"""A libvirtd apart from summond, killed with -9 while guests start, run and rest: what runs goes on, names
recover when it is back, and in the end nothing of summond's is left over. E2E_KILLS=100 makes it so many
kills, E2E_SEED repeats their choice."""
import os
import random
import signal
import tempfile
import threading
import time

import pytest
from harness import ask, wait_for
from libvirtd import Libvirtd, is_installed
from net import Here, summond_with_guests
from space import helpers, picture, settled

KILLS = int(os.environ.get("E2E_KILLS", "4"))
SEED = int(os.environ.get("E2E_SEED", str(time.time_ns() % 1000000)))
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
wake { per_source = none; per_service = none; total = none }
limits { breaker = 0 }"""
WAYS = [("cold", "destroy"), ("prepared", "shutdown"), ("suspended", "suspend"), ("cold", "snapshot")]
SETTLED = {"asleep", "prepared", "suspended", "awake"}
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def libvirtd():
    if not is_installed():
        pytest.skip("there is no libvirtd here")
    with tempfile.TemporaryDirectory(prefix="libvirtd-e2e-") as folder:
        service = Libvirtd(folder).start()
        yield service
        for pid in helpers():
            os.kill(pid, signal.SIGKILL)
        service.stop()


@pytest.fixture(scope="module")
def summond(libvirtd):
    settings = {"uri": libvirtd.uri, "domain_type": "qemu"}
    with summond_with_guests(CONFIG, backend="libvirt", settings=settings) as daemon:
        yield daemon


def add_services(summond):
    services = []
    for start, retire in WAYS:
        name = f"{start}-{retire}"
        summond.policy(name, start=start, retire=retire, idle_after="400ms", min_life="0", ttl="0",
                       ring_tcp="7", ring_rate="none", ready_timeout="30s", backoff_first="10ms",
                       backoff_max="10ms", shutdown_grace="1s", hold="5s", at_deadline="servfail")
        services.append(summond.add(f"{name}.example.test", image="echo", policy=name))
    return services


def is_usable(summond):
    """And clients are told at once where it is not."""
    [backend] = [b for b in summond.get("/v1/status")["backends"] if b["name"] == "libvirt"]
    assert backend["usable"] == (not backend["failure"])
    return backend["usable"]


def serves(service):
    answer = Here().ask("tcp", service["ipv4"], 7)
    return answer["error"] == 0 and answer["body"] == "are you there?"


def is_found(summond, name):
    return bool(summond.dig(name).addresses)


def one(summond, **options):
    policy = {"idle_after": "0", "min_life": "0", "ttl": "0", "ring_tcp": "7", "hold": "5s",
              "ready_timeout": "30s", "backoff_first": "10ms", "backoff_max": "10ms",
              "at_deadline": "servfail", **options}
    summond.policy("one", **policy)
    return summond.add("one.example.test", image="echo", policy="one")


def test_who_runs_goes_on(summond, libvirtd):
    service = one(summond)
    name = service["name"]
    wait_for(lambda: is_found(summond, name), "it to be awake")
    [first] = summond.get("/v1/instances")["instances"]
    libvirtd.kill()
    wait_for(lambda: not is_usable(summond), "the loss to be seen")
    assert serves(service) and is_found(summond, name)
    libvirtd.start()
    wait_for(lambda: is_usable(summond), "it to be back")
    assert serves(service)
    [now] = summond.get("/v1/instances")["instances"]
    assert now["generation"] == first["generation"]
    summond.call("POST", f"/v1/services/{name}/retire", {"how": "destroy"})
    summond.wait_state(name, "asleep")
    assert serves(service)


@pytest.mark.parametrize("state", ["creating", "booting"])
def test_who_starts_is_started_again(summond, libvirtd, state):
    service = one(summond)
    answer = summond.dig_start(service["name"])
    wait_for(lambda: summond.state(service["name"]) in (state, "awake"), "the start")
    libvirtd.kill()
    answer.communicate(timeout=60)  # served or not: it is answered
    libvirtd.start()
    wait_for(lambda: is_found(summond, service["name"]), "its name to recover")
    assert serves(service)


@pytest.mark.parametrize("retire", ["suspend", "snapshot", "destroy"])
def test_who_goes_to_rest_is_woken(summond, libvirtd, retire):
    service = one(summond, retire=retire)
    name = service["name"]
    wait_for(lambda: is_found(summond, name), "it to be awake")
    summond.call("POST", f"/v1/services/{name}/retire", {})
    wait_for(lambda: summond.state(name) != "awake", "it to go")
    libvirtd.kill()
    time.sleep(0.2)
    libvirtd.start()
    wait_for(lambda: is_found(summond, name), "its name to recover")
    assert serves(service)


def left_over(summond, before):
    """A QEMU that libvirtd had only begun to start, or asks what it can, when it was killed is known to
    nobody any more: it is libvirtd's loss, and no part of this."""
    return [line for line in (picture(summond) - before).elements() if not line.startswith("process qemu")]


def query_all(summond, names, over, answers):
    while not over.wait(0.05):
        for name in names:
            try:
                answers.append(ask(name, summond.port, patience=10))
            except (OSError, AssertionError) as error:
                answers.append(type(error).__name__)


def addresses_of(answers):
    return [answer for answer in answers if answer[0].isdigit()]


def test_kills(summond, libvirtd):
    print(f"E2E_SEED={SEED} E2E_KILLS={KILLS}")
    rng = random.Random(SEED)
    for service in add_services(summond):  # so that what is made at first is there
        wait_for(lambda its=service: serves(its), "it to be served")
    summond.remove_all()
    empty = settled(lambda: picture(summond))
    services = add_services(summond)
    names = [service["name"] for service in services]
    over, answers = threading.Event(), []
    asker = threading.Thread(target=query_all, args=(summond, names, over, answers))
    asker.start()
    try:
        wait_for(lambda: addresses_of(answers), "a query to be answered")
        for _ in range(KILLS):
            time.sleep(rng.uniform(0, 1.5))
            libvirtd.kill()
            time.sleep(rng.uniform(0, 0.5))
            libvirtd.start()
    finally:
        over.set()
        asker.join()
    wait_for(lambda: is_usable(summond), "it to be back")
    addresses = addresses_of(answers)
    assert set(addresses) <= {service["ipv4"] for service in services}
    print(f"{len(addresses)} of {len(answers)} queries answered with an address")
    for service in services:
        wait_for(lambda name=service["name"]: is_found(summond, name), "its name to recover")
        wait_for(lambda its=service: serves(its), "it to be served again")
    summond.remove_all()
    wait_for(lambda: not left_over(summond, empty), "nothing to be left over", 30)

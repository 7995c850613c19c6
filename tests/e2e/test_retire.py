# SPDX-License-Identifier: ISC
"""Clients that come at every phase of a retirement: none is lost. E2E_SOAK=5000 makes it so many
connections, E2E_SEED chooses other moments."""
import os
import subprocess

import pytest
from harness import BACKEND, wait_for
from net import Here, finish, summond_with_guests

COUNT = int(os.environ.get("E2E_SOAK", "600" if BACKEND == "vmm" else "60"))
SEED = int(os.environ.get("E2E_SEED", "1"))
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
log { level = debug }
wake { per_source = none; per_service = none; total = none }"""
EACH = 4  # services a way of retiring
IDLE = 0.3


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def places(places):
    return list(places.values())


def test_none_is_lost(summond, places):
    """Pauses are around idle_after, and the looks at idleness come every 100 ms: clients meet guests
    that are awake, behind their closed door, on their way down, and asleep."""
    services = []
    for how in ("destroy", "shutdown", "suspend"):
        summond.policy(how, retire=how, idle_after=f"{int(IDLE * 1000)}ms", min_life="0", ttl="0",
                       ring_tcp="7", ring_rate="none", ready_timeout="30s", activity="traffic")
        services += [summond.add(f"{how}{i}.example.test", image="echo", policy=how)
                     for i in range(EACH)]
    clients = []
    for number, service in enumerate(services):
        place, key = places[number % 3], ("ipv4", "ipv6")[number // 3 % 2]
        clients.append(place.start("soak", 7, max(1, COUNT // len(services)), SEED,
                                   IDLE - 0.05, IDLE + 0.2, service[key]))
    results = [finish(client, limit=60 + COUNT) for client in clients]
    doors = [summond.service(service["name"])["doorbell"] for service in services]
    wrong = [wrong for result in results for wrong in result["wrong"]]
    assert not wrong, (len(wrong), wrong[:3])
    assert sum(result["connections"] for result in results) >= COUNT - len(services)
    again = sum(result["retransmissions"] for result in results)
    stalls = sum(result["stalls"] for result in results)
    in_time = sum(summond.sent_again_in_time(service["name"]) for service in services)
    assert again <= in_time + stalls, [
        found for result in results for found in result["again"]]
    assert sum(door["full"] for door in doors) == 0
    # It was a test of something.
    assert sum(door["woke"] for door in doors) > COUNT / 20
    wait_for(lambda: summond.get("/v1/status")["counters"]["doorbell"]["waiting"] == 0,
             "nothing to wait any more")
    print(f"{COUNT} connections, {sum(door['woke'] for door in doors)} starts by packet, "
          f"{summond.log().count('is in use after all')} retirements called off, "
          f"{sum(door['passed'] for door in doors)} packets passed, {stalls} stalls")


def test_none_is_lost_by_order(summond, places):
    """Nor where guests are sent away in any case: by an operator, and as max_life is over."""
    services, ways = [], ("destroy", "shutdown", "suspend")
    for how in ways:
        for word, life in ("ordered", "0"), ("old", "400ms"):
            summond.policy(f"{word}-{how}", retire=how, idle_after="0", min_life="0", ttl="0",
                           ring_tcp="7", ring_rate="none", ready_timeout="30s", max_life=life)
            services += [summond.add(f"{word}-{how}{i}.example.test", image="echo",
                                     policy=f"{word}-{how}") for i in range(EACH // 2)]
    clients = []
    for number, service in enumerate(services):
        place, key = places[number % 3], ("ipv4", "ipv6")[number // 3 % 2]
        clients.append(place.start("soak", 7, max(1, COUNT // len(services)), SEED, 0, 0.1,
                                   service[key]))
    orders = 0
    while any(client.poll() is None for client in clients):
        # An order while it starts is heard by those who wait for the start.
        names = [service["name"] for service in services if "ordered" in service["name"]]
        for name in names:
            now = summond.service(name)
            if now["state"] != "awake":
                continue
            orders += summond.call("POST", f"/v1/services/{name}/retire", {})[0] == 202
            wait_for(lambda: summond.service(name)["since"] != now["since"], "it to be followed")
    results = [finish(client, limit=60 + COUNT) for client in clients]
    wrong = [wrong for result in results for wrong in result["wrong"]]
    assert not wrong, (len(wrong), wrong[:3])
    doors = [summond.service(service["name"])["doorbell"] for service in services]
    assert sum(door["woke"] for door in doors) > COUNT / 20
    again = sum(result["retransmissions"] for result in results)
    stalls = sum(result["stalls"] for result in results)
    in_time = sum(summond.sent_again_in_time(service["name"]) for service in services)
    assert again <= in_time + stalls, [
        found for result in results for found in result["again"]]
    print(f"{COUNT} connections, {orders} orders, {sum(door['woke'] for door in doors)} starts")


def test_a_guest_in_use_by_noise_alone_is_retired(summond, places):
    """Broadcasts and neighbour discovery on its bridge keep nobody awake."""
    summond.policy("brief", idle_after="500ms", min_life="0", ttl="0", ring_tcp="7")
    name = "noise.example.test"
    service = summond.add(name, image="echo", policy="brief")
    assert Here().ask("tcp", service["ipv4"], 7)["error"] == 0
    noise = subprocess.Popen(places[2].command(
        "/usr/bin/python3", "-c", """
import socket, time
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
while True:
    s.sendto(b"noise", ("10.77.255.255", 9))
    time.sleep(0.02)
"""))
    try:
        summond.wait_state(name, "asleep")
    finally:
        noise.kill()
        noise.wait()


def test_max_life_ends_a_guest_in_use(summond):
    summond.policy("short", idle_after="0", max_life="1s", min_life="0", ttl="0", ring_tcp="7")
    name = "short.example.test"
    service = summond.add(name, image="echo", policy="short")
    generations = set()

    def visit():
        assert Here().ask("tcp", service["ipv4"], 7)["error"] == 0
        generations.update(i["generation"] for i in summond.get("/v1/instances")["instances"]
                           if i["service"] == name)
        return len(generations) > 2

    wait_for(visit, "three lives")

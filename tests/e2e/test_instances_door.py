# SPDX-License-Identifier: ISC
"""Packets to services with several machines: whose wakes which."""
import errno
import subprocess

import pytest
from harness import HANG, wait_for
from net import Host, adopt_sim_guest, finish, summond_with_guests, sysctl

NAME = "www.example.test"
NEXT = NAME + "#2"
BEHIND = "192.168.50.2"
CONFIG = """
network { pool = "10.77.0.0/17" }
backend "sim" { boot_delay = 1ms; persist = yes }
wake { per_source = none; per_service = none; total = none }
"""


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG, backend="sim") as daemon:
        yield daemon


@pytest.fixture(scope="module")
def places(summond):
    behind = Host("behind", [BEHIND + "/24"], gateways=["192.168.50.1/24"])
    sysctl("ipv4/conf/behind/forwarding", 1)
    beside = Host("beside", ["10.77.200.1/16"], bridge="summon0")
    yield {"behind": behind, "beside": beside}
    behind.close()
    beside.close()


@pytest.fixture(autouse=True)
def guests(summond):
    made = []
    yield made
    summond.remove_all()
    for guest in made:
        guest.close()


def serve(summond, instances):
    summond.policy("many", instances=instances, ready="frame", ready_timeout="60s",
                   retire="suspend", idle_after="1h")
    service = summond.add(NAME, policy="many")
    return [service["ipv4"], *(machine["ipv4"] for machine in service.get("machines", []))]


def refuses(place, address):
    answer = place.ask("tcp", address, 80)
    return answer["error"] in (errno.EHOSTUNREACH, errno.EACCES)


def suspend(summond, name):
    path = f"/v1/services/{name.replace('#', '%23')}/retire"
    assert summond.call("POST", path, {"how": "suspend"})[0] == 202
    summond.wait_state(name, "suspended")


def test_a_packet_has_a_machine_to_itself(summond, places, guests):
    first, second = serve(summond, "per-client:2")
    client = places["behind"].start("tcp", second, 80)
    guests.append(adopt_sim_guest(summond, NEXT))
    answer = finish(client)
    assert answer["body"] == "hello from a guest\n", answer
    assert summond.service(NEXT)["client"] == BEHIND
    # It has one now, and wakes no other.
    assert refuses(places["behind"], first)
    assert summond.state(NAME) == "asleep"
    assert summond.service(NAME)["doorbell"]["source"] == 1
    # Nor does a stranger wake what is its own.
    suspend(summond, NEXT)
    assert refuses(places["beside"], second)
    assert summond.state(NEXT) == "suspended"
    assert places["behind"].ask("tcp", second, 80)["body"] == "hello from a guest\n"
    assert len(summond.get(f"/v1/summons?service={NAME}%232")["summons"]) == 2


def test_whoever_asks_by_way_of_a_resolver(summond, places, guests):
    """The query comes from one address, packets from another."""
    first, _ = serve(summond, "per-client:2")
    query = summond.dig_start(NAME)
    guests.append(adopt_sim_guest(summond, NAME))
    assert first in query.communicate(timeout=HANG)[0]
    assert summond.service(NAME)["client"] == "127.0.0.1"
    suspend(summond, NAME)
    assert places["behind"].ask("tcp", first, 80)["body"] == "hello from a guest\n"
    assert summond.service(NAME)["client"] == "127.0.0.1"


def test_shared_machines_are_everybodys(summond, places, guests):
    addresses = serve(summond, "shared:2")
    clients = [places[place].start("tcp", address, 80) for place in places
               for address in addresses]
    guests += [adopt_sim_guest(summond, NAME), adopt_sim_guest(summond, NEXT)]
    assert [finish(client)["body"] for client in clients] == ["hello from a guest\n"] * 4


def test_it_leaves_nothing(summond, places, guests):
    def routes():
        return subprocess.run(["ip", "route"], stdout=subprocess.PIPE, text=True,
                              check=True).stdout
    serve(summond, "one")
    before = routes()
    summond.call("PATCH", "/v1/policies/many", {"instances": "per-client:8"})
    address = summond.service(NAME)["machines"][6]["ipv4"]
    client = places["behind"].start("tcp", address, 80)
    guests.append(adopt_sim_guest(summond, NAME + "#8"))
    assert finish(client)["body"] == "hello from a guest\n"
    assert address in routes()
    summond.call("PATCH", "/v1/policies/many", {"instances": "one"})
    wait_for(lambda: routes() == before, "its route to go")
    assert places["behind"].ask("tcp", address, 80)["error"] == errno.EHOSTUNREACH

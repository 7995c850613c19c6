# SPDX-License-Identifier: ISC
"""A service with several addresses: each wakes its guest and is served by it, and none is left behind."""
import ipaddress
import subprocess

import pytest
from harness import wait_for
from net import summond_with_guests

NAME, OTHER = "www.example.test", "db.example.test"
# One of them is outside the pool, and has a route of its own to the doorbell.
FIRST, SECOND, SIX = ALL = ["10.77.1.1", "10.77.199.2", "fd77::1:1"]
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
wake { per_source = none; per_service = none; total = none }
zone "77.10.in-addr.arpa" { ns "ns1.example.test" {} }
zone "ip6.arpa" { ns "ns1.example.test" {} }"""
PLACES = ["host", "forwarded", "bridge"]
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG) as daemon:
        yield daemon


def serve(summond, addresses=ALL, **options):
    summond.policy("ring", ring_tcp="7", **options)
    return summond.add(NAME, image="echo", policy="ring", addresses=addresses)


def put_to_sleep(summond, how="destroy"):
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": how})
    summond.wait_state(NAME, "asleep", "suspended")


def there(*words):
    """The addresses of NAME that the kernel has something of, told by their first words."""
    lines = subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[0] for line in lines} & {*ALL, *(f"10.77.1.{i}" for i in range(1, 9))}


def awake_routes():
    return there("-4", "route", "show", "dev", "summon0") | there("-6", "route", "show", "dev", "summon0")


def neighbours():
    return (there("-4", "neigh", "show", "dev", "summon0", "nud", "permanent") |
            there("-6", "neigh", "show", "dev", "summon0", "nud", "permanent"))


def connect(places, place, address):
    answer = places[place].ask("tcp", address, 7)
    assert answer["error"] == 0, (place, address, answer)


def test_a_packet_to_each_wakes_it_and_each_is_served(summond, places):
    assert serve(summond)["addresses"] == ALL
    assert not awake_routes()
    for place, address in [*zip(PLACES, reversed(ALL)), ("bridge", SECOND), ("forwarded", SIX)]:
        connect(places, place, address)
        assert awake_routes() == neighbours() == set(ALL)
        for other in PLACES:
            for known in ALL:
                connect(places, other, known)
        assert len(summond.get("/v1/instances")["instances"]) == 1
        put_to_sleep(summond)
        assert not awake_routes() and not neighbours()
    causes = [summon["cause"] for summon in summond.summons(NAME)]
    assert len(causes) == 5 and all("packet TCP port 7" in cause for cause in causes), causes


@pytest.mark.parametrize("start,retire", [("suspended", "suspend"), ("snapshot", "snapshot")])
def test_it_has_them_all_when_it_comes_back(summond, places, start, retire):
    serve(summond, start=start, retire=retire)
    for address in (SECOND, SIX, FIRST):
        connect(places, "bridge", address)
        for known in ALL:
            connect(places, "host", known)
        put_to_sleep(summond, retire)
        assert not awake_routes()


def test_ready_at_any_of_them(summond, places):
    serve(summond, ready="tcp", ready_port="7")
    connect(places, "forwarded", SECOND)
    [summon] = summond.summons(NAME)
    assert summon["outcome"] == "ready"


def test_a_line_of_the_users_has_them_all(summond, places):
    summond.policy("ring", ring_tcp="7")
    summond.add(NAME, image="echo", policy="ring", addresses=ALL,
                kernel_line="ip={ipv4_2_prefix} ip={ipv4_prefix} {ipv4_3} {ipv4_5} gw={ipv4_gateway} ip6={ipv6_prefix}")
    for address in reversed(ALL):
        connect(places, "bridge", address)


def test_a_name_has_them_all(summond):
    serve(summond)
    assert set(summond.dig(NAME).addresses) == {FIRST, SECOND}
    assert summond.state(NAME) == "awake"
    orders = set()

    def ask():
        orders.add(tuple(summond.dig(NAME, "+tcp").addresses))
        return len(orders) == 2

    wait_for(ask, "both orders")
    assert orders == {(FIRST, SECOND), (SECOND, FIRST)}
    assert summond.dig(NAME, "AAAA").addresses == [SIX]
    put_to_sleep(summond)
    for address in ALL:
        assert f"{NAME}." in summond.dig(ipaddress.ip_address(address).reverse_pointer, "PTR").text
    assert summond.state(NAME) == "asleep"


def test_the_first_of_several_machines_has_them_all(summond, places):
    """The others have one of each family."""
    summond.policy("wide", ring_tcp="7", instances="shared:2")
    summond.add(NAME, image="echo", policy="wide", addresses=ALL)
    [four, six] = summond.service(f"{NAME}#2")["addresses"]
    assert not {four, six} & set(ALL)
    answers = {frozenset(summond.dig(NAME, "-b", f"127.0.0.{i}").addresses) for i in range(2, 40)}
    assert answers == {frozenset({FIRST, SECOND}), frozenset({four})}
    for address in (*ALL, four, six):
        connect(places, "bridge", address)
    assert len(summond.get("/v1/instances")["instances"]) == 2


def test_a_new_daemon_has_them_all(summond, places):
    serve(summond)
    connect(places, "host", SECOND)
    for awake in (True, False):
        summond.kill()
        summond.start()
        assert summond.service(NAME)["addresses"] == ALL
        assert summond.service(NAME)["state"] == ("awake" if awake else "asleep")
        assert awake_routes() == (set(ALL) if awake else set())
        for address in reversed(ALL):
            connect(places, "bridge", address)
        put_to_sleep(summond)
        assert not awake_routes() and not neighbours()


def test_they_change_with_the_definition(summond, places):
    """A guest that has others now is ended; what it gave up no longer wakes it."""
    serve(summond)
    connect(places, "host", SECOND)
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"addresses": [SECOND, "10.77.1.3"]})
    assert status == 200 and answer["addresses"] == [SECOND, "10.77.1.3", SIX]
    assert answer["ipv4"] == SECOND and answer["ipv6"] == SIX
    summond.wait_state(NAME, "asleep")
    assert not awake_routes()
    assert places["host"].ask("tcp", FIRST, 7)["error"] != 0
    assert summond.state(NAME) == "asleep"
    connect(places, "bridge", "10.77.1.3")
    assert awake_routes() == {SECOND, "10.77.1.3", SIX}
    # What is not said stays, and what was given up is kept for the name.
    assert summond.add(NAME, image="echo", policy="ring")["addresses"] == answer["addresses"]
    status, refused = summond.call("PUT", f"/v1/services/{OTHER}", {"image": "echo", "addresses": [FIRST]})
    assert status == 409 and f"address {FIRST} belongs to {NAME}" in refused["error"]


@pytest.mark.parametrize("more,says", [
    ({"addresses": []}, "addresses: write a list such as"),
    ({"addresses": "10.77.1.1"}, "addresses: write a list such as"),
    ({"addresses": ["10.77.1.1", "www"]}, "addresses: 2. of the list: 'www' is no address"),
    ({"addresses": ["10.77.1.1", 7]}, "addresses: 2. of the list: '' is no address"),
    ({"addresses": ["0.0.0.0"]}, "addresses: 1. of the list: '0.0.0.0' is no address"),
    ({"ipv4": "0.0.0.0"}, "ipv4: write an IPv4 address such as"),
    ({"addresses": ["pool", "::"]}, "addresses: 2. of the list: '::' is no address"),
    ({"addresses": ["fd77::1:1", "10.77.1.1", "fd77::1:1"]}, "addresses: fd77::1:1 is there twice"),
    ({"addresses": [f"10.77.1.{i}" for i in range(1, 6)]}, "addresses: 5. of the list: a service has at most 4 IPv4 addresses"),
    ({"addresses": [f"fd77::{i}" for i in range(2, 7)]}, "addresses: 5. of the list: a service has at most 4 IPv6 addresses"),
    ({"addresses": ["10.77.1.1", "10.99.0.1"]}, "10.99.0.1 is not in the guests' network 10.77.0.1/16"),
    ({"addresses": ["10.77.255.255"]}, "10.77.255.255 is that of all hosts of 10.77.0.1/16"),
    ({"ipv4": "10.77.0.0"}, "10.77.0.0 is that of all hosts of 10.77.0.1/16"),
    ({"ipv6": "fd77::"}, "fd77:: is that of all routers of fd77::1/64"),
    ({"addresses": ["10.77.1.1", "fd99::1"]}, "fd99::1 is not in the guests' network fd77::1/64"),
    ({"addresses": ["10.77.1.1", "10.77.0.1"]}, "address 10.77.0.1 belongs to (the gateway)"),
    ({"addresses": ["10.77.1.1", "10.77.2.2"]}, f"address 10.77.2.2 belongs to {OTHER}"),
    ({"addresses": ["10.77.1.1"], "ipv4": "10.77.1.2"}, "addresses: begins with 10.77.1.1, and ipv4 says 10.77.1.2"),
    ({"addresses": ["10.77.1.1", "10.77.1.2"], "kernel_line": "address={ipv4}"},
     "addresses: kernel_line says nothing of 10.77.1.2: write {ipv4_2} or {ipv4_2_prefix} into it")])
def test_what_cannot_be_is_refused(summond, more, says):
    summond.add(OTHER, image="echo", addresses=["10.77.2.1", "10.77.2.2"])
    status, answer = summond.call("PUT", f"/v1/services/{NAME}", {"image": "echo", **more})
    assert status in (400, 409) and says in answer["error"], (status, answer)
    assert summond.call("GET", f"/v1/services/{NAME}")[0] == 404
    # Nothing of it is held: the next one has them.
    summond.add(NAME, image="echo", addresses=["10.77.1.1", "10.77.1.2"])


def test_some_of_the_pool(summond, places):
    """As many as are wished for; whoever has them keeps them."""
    name = "new.example.test"
    summond.policy("ring", ring_tcp="7")
    given = summond.add(name, image="echo", policy="ring", addresses=["pool", "10.77.3.1", "pool", "pool6"])["addresses"]
    assert len(set(given)) == 4 and given[1] == "10.77.3.1"
    assert all(address.startswith("10.77.0.") for address in (given[0], given[2]))
    assert given[3].startswith("fd77::")
    for address in given:
        connect(places, "bridge", address)
    for wish in (["pool", "10.77.3.1", "pool"], ["pool", "pool", "pool"], [given[0], "pool", given[2], "pool6"]):
        status, answer = summond.call("PATCH", f"/v1/services/{name}", {"addresses": wish})
        assert status == 200 and answer["addresses"] == given
    assert summond.state(name) == "awake"
    # Removed and added anew, in whatever order: they are its own.
    summond.call("DELETE", f"/v1/services/{name}")
    again = summond.add(name, image="echo", addresses=["pool"] * 3)["addresses"]
    assert sorted(again) == sorted(given)


def test_ipv4_is_the_first_of_them(summond):
    serve(summond, ["10.77.1.1", "10.77.1.2"])
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"ipv4": "10.77.1.2"})
    assert status == 400 and "addresses: 10.77.1.2 is there twice" in answer["error"]
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"ipv4": "10.77.1.5"})
    assert status == 200 and answer["addresses"][:2] == ["10.77.1.5", "10.77.1.2"]
    # What is told can be given back.
    status, again = summond.call("PATCH", f"/v1/services/{NAME}",
                                 {key: answer[key] for key in ("addresses", "ipv4", "ipv6")})
    assert status == 200 and again["addresses"] == answer["addresses"]


def test_on_the_command_line(summond):
    four = [f"10.77.1.{i}" for i in range(1, 5)]
    words = [word for address in [*four, SIX] for word in ("--address", address)]
    done = summond.ctl("add", NAME, "--image", "echo", *words)
    assert done.stdout == f"added {NAME} at {', '.join([*four, SIX])}\n"
    assert "10.77.1.1 +3" in summond.ctl("list").stdout
    assert '["10.77.1.1","10.77.1.2","10.77.1.3","10.77.1.4","fd77::1:1"]' in summond.ctl("show", NAME).stdout
    summond.ctl("set", NAME, "--address", "10.77.1.4", "--address", "10.77.1.7", "--address6", "fd77::1:2")
    assert summond.service(NAME)["addresses"] == ["10.77.1.4", "10.77.1.7", "fd77::1:2"]
    path = summond.folder / "all.conf"
    for wish in ('["10.77.1.4", "10.77.1.8"]', '["10.77.1.4", "10.77.1.8", pool]', '["10.77.1.4", "10.77.1.8"]'):
        path.write_text(f'service "{NAME}" {{ image = echo; address = {wish} }}\n')
        assert summond.ctl("apply", "-f", path).stdout == f"service {NAME}: changed\n"
        assert summond.ctl("apply", "-f", path).stdout == f"service {NAME}: unchanged\n"
    assert summond.service(NAME)["addresses"] == ["10.77.1.4", "10.77.1.8", "fd77::1:2"]
    done = summond.ctl("add", OTHER, "--image", "echo", "--address", "10.77.1.8", check=False)
    assert done.returncode and f"address 10.77.1.8 belongs to {NAME}" in done.stderr

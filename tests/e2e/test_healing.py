# SPDX-License-Identifier: ISC
"""Somebody changes the network under the daemon: guests that are awake are reached again soon, and those
that sleep are woken, without a restart. Guests of the sim backend, whose network stacks are real."""
import re
import subprocess

import pytest
from harness import Summond, wait_for
from net import Here, Host, adopt_sim_guest, finish, ip, sysctl

AWAKE, ASLEEP = "www.example.test", "db.example.test"
CONFIG = """
network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
backend "sim" { boot_delay = 1ms; persist = yes }
wake { per_source = none; per_service = none; total = none }
"""
# One address of each is outside the pool, and has a route of its own to the doorbell.
ADDRESSES = {AWAKE: ["10.77.3.1", "10.77.201.1", "fd77::3:1"],
             ASLEEP: ["10.77.3.2", "10.77.201.2", "fd77::3:2"]}


@pytest.fixture(scope="module")
def summond():
    with Summond(CONFIG, backend="sim").start() as daemon:
        yield daemon
    ip("link", "del", "summon-bell", check=False)


@pytest.fixture(scope="module")
def places(summond):
    behind = Host("behind", ["192.168.50.2/24", "fd50::2/64"],
                  gateways=["192.168.50.1/24", "fd50::1/64"])
    sysctl("ipv4/conf/behind/forwarding", 1)
    sysctl("ipv6/conf/all/forwarding", 1)
    beside = Host("beside", ["10.77.200.1/16", "fd77::200:1/64"], bridge="summon0")
    yield {"host": Here(), "forwarded": behind, "bridge": beside}
    behind.close()
    beside.close()


@pytest.fixture(autouse=True)
def guests(summond):
    made = []
    summond.policy("ring", ready="frame", ready_timeout="60s", backoff_first="1ms")
    for name, addresses in ADDRESSES.items():
        summond.add(name, policy="ring", addresses=addresses)
    yield made
    for name in ADDRESSES:
        summond.call("DELETE", f"/v1/services/{name}")
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "guests to end")
    for guest in made:
        guest.close()


def healed(summond):
    return summond.get("/v1/status")["counters"]["doorbell"]["healed"]


def network(summond):
    [found] = [check for check in summond.get("/v1/check")["checks"] if check["name"] == "network"]
    return found


def wake(summond, guests):
    summond.call("POST", f"/v1/services/{AWAKE}/wake", {"wait": False})
    guests.append(adopt_sim_guest(summond, AWAKE))
    summond.wait_state(AWAKE, "awake")


def expect_all_served(summond, places, guests):
    for where, place in places.items():
        for address in ADDRESSES[AWAKE]:
            answer = place.ask("tcp", address, 80)
            assert answer.get("body") == "hello from a guest\n", (where, address, answer)
    assert summond.state(ASLEEP) == "asleep"
    clients = [(where, address, place.start("tcp", address, 80)) for where, place in places.items()
               for address in ADDRESSES[ASLEEP]]
    guests.append(adopt_sim_guest(summond, ASLEEP))
    for where, address, client in clients:
        answer = finish(client)
        assert answer.get("body") == "hello from a guest\n", (where, address, answer)


HARM = {
    "bridge down": ["link set summon0 down", "link set summon0 up"],
    "doorbell down": ["link set summon-bell down", "link set summon-bell up"],
    "no doorbell": ["link del summon-bell"],
    "no guests' routes": ["route flush dev summon0", "-6 route flush dev summon0"],
    "no pools' routes": ["route flush proto 76 dev summon-bell", "-6 route flush proto 76 dev summon-bell"],
    "no neighbours": ["neigh flush dev summon0 nud permanent",
                      "-6 neigh flush dev summon0 nud permanent"],
    "no addresses": ["addr flush dev summon0"],
}


@pytest.mark.parametrize("harm", HARM)
def test_what_was_lost_is_put_back(summond, places, guests, harm):
    wake(summond, guests)
    before = healed(summond)
    for command in HARM[harm]:
        ip(*command.split())
    wait_for(lambda: healed(summond) > before, "it to be put back")
    expect_all_served(summond, places, guests)
    assert network(summond)["level"] == "ok"
    assert "somebody else has changed it" in summond.log()


def test_what_we_do_ourselves_is_no_harm(summond, places, guests):
    before = healed(summond)
    wake(summond, guests)
    expect_all_served(summond, places, guests)
    summond.call("POST", f"/v1/services/{AWAKE}/retire", {"how": "destroy"})
    summond.wait_state(AWAKE, "asleep")
    assert healed(summond) == before


def test_a_link_that_flaps_is_not_followed(summond, places, guests):
    wake(summond, guests)
    before = healed(summond)
    flaps = "".join(f"link set summon0 {how}\n" for how in ["down", "up"] * 200)
    subprocess.run(["ip", "-batch", "-"], input=flaps, text=True, check=True)
    wait_for(lambda: healed(summond) > before, "it to be put back")
    expect_all_served(summond, places, guests)
    assert healed(summond) < before + 100


def test_a_bridge_that_is_down_is_told_of(summond, places, guests):
    words = "bridge 'summon0' was set down"
    wake(summond, guests)
    before = summond.log().count(words)
    ip("link", "set", "summon0", "down")
    wait_for(lambda: network(summond)["level"] == "error", "the error")
    assert words in network(summond)["message"]
    assert words in summond.ctl("check", check=False).stdout
    assert summond.log().count(words) == before + 1
    ip("link", "set", "summon0", "up")
    wait_for(lambda: network(summond)["level"] == "ok", "it to be put back")
    expect_all_served(summond, places, guests)


def output(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout


def knows_the_gateway(guest):
    bridge = output("ip", "-o", "link", "show", "dev", "summon0")
    mac = re.search(r"link/ether (\S+)", bridge).group(1)
    return f"lladdr {mac}" in output(*guest.command("ip", "neigh", "show", "10.77.0.1"))


def test_the_last_one_a_bridge_that_is_gone(summond, places, guests):
    """The one that somebody makes in its place is as ours was, and guests hear of its MAC."""
    wake(summond, guests)
    places["host"].ask("tcp", ADDRESSES[AWAKE][0], 80)
    assert knows_the_gateway(guests[0])
    ip("link", "del", "summon0")
    wait_for(lambda: network(summond)["level"] == "error", "the error")
    assert "bridge 'summon0' is gone" in network(summond)["message"]
    answer = summond.dig(ASLEEP)
    assert answer.status == "SERVFAIL", answer.text
    assert "summon0" in answer.ede_text, answer.text
    assert "summon0" in summond.ctl("why", ASLEEP).stdout
    ip("link", "add", "summon0", "type", "bridge")
    ip("link", "set", "beside", "master", "summon0")
    wait_for(lambda: network(summond)["level"] == "ok", "it to be put back")
    wait_for(lambda: knows_the_gateway(guests[0]), "the guest to hear of its gateway")
    expect_all_served(summond, places, guests)

# SPDX-License-Identifier: ISC
"""A connection that is open and silent keeps its guest awake where the host tracks connections, and
survives its guest's rest where the guest keeps its memory."""
import socket
import time
from datetime import datetime, timezone

import pytest
from harness import BACKEND, HANG, wait_for
from net import summond_with_guests
from track import track_connections

CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
wake { per_source = none; per_service = none; total = none }"""
NAME, OTHER = "open.example.test", "other.example.test"
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG) as daemon:
        yield daemon


class Connection:
    """To a guest that says again what it hears."""

    def __init__(self, address):
        self.socket = socket.create_connection((address, 7), timeout=HANG)

    def say(self, text):
        self.socket.sendall(text)
        heard = b""
        while len(heard) < len(text):
            more = self.socket.recv(4096)
            assert more, "the guest has ended it"
            heard += more
        assert heard == text

    def end(self):
        """Returns when there is no more to be said on either side."""
        self.socket.shutdown(socket.SHUT_WR)
        assert self.socket.recv(4096) == b""
        self.close()

    def close(self):
        self.socket.close()


# Of each service the first IPv4 address, the IPv6 address, and another IPv4 address.
KEYS = ["ipv4", "ipv6", "second"]
ADDRESSES = {NAME: ["10.77.1.1", "10.77.1.2"], OTHER: ["10.77.1.3", "10.77.1.4"]}


def serve(summond, name, **options):
    summond.policy("connected", **{"idle_after": "300ms", "min_life": "0", "ttl": "0", "ring_tcp": "7",
                                   "ring_rate": "none", "ready_timeout": "30s", **options})
    service = summond.add(name, image="echo", policy="connected", addresses=ADDRESSES[name])
    return {**service, "second": ADDRESSES[name][1]}


@pytest.mark.parametrize("key", KEYS)
def test_a_silent_connection_keeps_its_guest_awake(summond, key):
    try:
        track_connections()
    except OSError as error:
        pytest.skip(f"this kernel tracks no connections: {error}")
    service = serve(summond, NAME, activity="traffic connections")
    other = serve(summond, OTHER, activity="traffic connections")
    kept, brief = Connection(service[key]), Connection(other[key])
    for connection in (kept, brief):
        connection.say(b"here I am")
    [first] = [i for i in summond.get("/v1/instances")["instances"] if i["service"] == NAME]
    brief.close()
    for _ in range(3):
        # Who is not connected any more is retired; whoever is, is not.
        summond.wait_state(OTHER, "asleep")
        assert summond.state(NAME) == "awake"
        brief = Connection(other[key])
        brief.say(b"once more")
        brief.close()
    kept.say(b"still there?")
    [now] = [i for i in summond.get("/v1/instances")["instances"] if i["service"] == NAME]
    assert now["generation"] == first["generation"]
    kept.close()
    summond.wait_state(NAME, "asleep")


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("how", ["suspend"] if BACKEND == "vmm" else ["suspend", "snapshot"])
def test_a_connection_survives_its_guests_rest(summond, key, how):
    service = serve(summond, NAME, activity="traffic", retire=how)
    connection = Connection(service[key])
    for turn in range(3):
        connection.say(b"turn %d" % turn)
        summond.wait_state(NAME, "suspended")
    connection.say(b"and again")
    connection.close()
    assert summond.service(NAME)["doorbell"]["woke"] == 4


def test_the_last_words_of_a_connection_do_not_call_its_guest_back(summond):
    """What is said between the order to rest and the rest is for the guest that still runs. On a
    machine so busy that the client pauses, it may come when the guest has rested: such a try says nothing."""
    service = serve(summond, NAME, activity="traffic", retire="suspend", idle_after="0")

    def rested():
        rows = summond.get(f"/v1/transitions?service={NAME}")["transitions"]
        return next((row["at"] for row in rows if row["to"] == "suspended"), None)

    def is_in_time():
        before, begun = rested(), summond.log().count("awake -> suspending")
        connection = Connection(service["ipv4"])
        connection.say(b"here I am")
        assert summond.call("POST", f"/v1/services/{NAME}/retire", {})[0] == 202
        for word in range(20):
            connection.say(b"one more %d" % word)
        connection.end()
        ended = datetime.now(timezone.utc)
        wait_for(lambda: summond.log().count("awake -> suspending") > begun, "the rest")
        summond.wait_state(NAME, "suspended", "awake")
        return rested() != before and ended < datetime.fromisoformat(rested())

    def stays():
        end = time.monotonic() + 0.3
        while time.monotonic() < end and summond.state(NAME) == "suspended":
            time.sleep(0.02)
        return summond.state(NAME) == "suspended"

    tries = [stays() for _ in range(10) if is_in_time()]
    assert tries and all(tries)


@pytest.mark.skipif(BACKEND != "vmm", reason="only guests of summon-vmm begin anew from the disk")
@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_a_connection_is_reset_where_it_cannot_survive(summond, key):
    """Its client hears that at once, and connects again."""
    service = serve(summond, NAME, activity="traffic", retire="snapshot")
    connection = Connection(service[key])
    connection.say(b"here I am")
    summond.wait_state(NAME, "suspended")
    with pytest.raises((ConnectionResetError, BrokenPipeError)):
        connection.say(b"and again")
    connection.close()
    connection = Connection(service[key])
    connection.say(b"once more")
    connection.close()

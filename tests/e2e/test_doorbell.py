# SPDX-License-Identifier: ISC
"""Packets wake real guests: clients on the host, behind it, and on the guests' bridge connect to an
address that sleeps, and no SYN is sent twice."""

import pytest
from harness import wait_for
from net import summond_with_guests

NAME = "www.example.test"
# The bridge has hosts of its own, outside the pool.
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
wake { per_source = none; per_service = none; total = none }"""
PLACES = ["host", "forwarded", "bridge"]
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG) as daemon:
        yield daemon


def serve(summond, image="hello", **options):
    summond.policy("ring", **options)
    return summond.add(NAME, image=image, policy="ring")


def put_to_sleep(summond):
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    summond.wait_state(NAME, "asleep")


def check_connected(summond, *answers):
    """All that its clients have sent twice, they sent while the first one waited: on a machine that
    takes more than a second for a start. Nothing was lost."""
    assert all(answer["error"] == 0 for answer in answers), answers
    again = sum(answer["retransmissions"] for answer in answers)
    wait_for(lambda: again <= summond.sent_again_in_time(NAME), f"reasons for {answers}", 5)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_the_first_syn_is_answered(summond, places, place, key):
    address = serve(summond, ring_tcp="7", image="echo")[key]
    answers = []
    for _ in range(3):
        answers.append(places[place].ask("tcp", address, 7))
        check_connected(summond, *answers)
        put_to_sleep(summond)
    causes = [summon["cause"] for summon in summond.summons(NAME)]
    assert len(causes) == 3
    assert all(f"packet TCP port 7 from {answers[0]['source']}" in cause for cause in causes), causes


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_datagrams_wait_and_come_once(summond, places, key):
    address = serve(summond, ring_udp="7", image="echo", ready="delay", ready_delay="1s")[key]
    for place in PLACES:
        answer = places[place].ask("udp", address, 7, 5)
        # The guest answers the first one late: it looks for its neighbour meanwhile.
        assert sorted(answer["answers"]) == ["0", "1", "2", "3", "4"]
        put_to_sleep(summond)


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_ping_wakes_where_it_may(summond, places, key):
    address = serve(summond, ring_ping="yes", image="echo")[key]
    assert places["forwarded"].ask("ping", address)["answered"]
    assert "packet ping from" in summond.summons(NAME)[0]["cause"]


def test_answered_at_once_and_connected(summond, places):
    address = serve(summond, ring_tcp="7", image="echo", answer="at-once")["ipv4"]
    answers = []
    for _ in range(3):
        assert summond.dig(NAME).addresses == [address]
        answers.append(places["host"].ask("tcp", address, 7))
        check_connected(summond, *answers)
        put_to_sleep(summond)
    assert len(summond.summons(NAME)) == 3, "the query and the packet are one summon"


def test_a_connection_after_a_reserved_address(summond, places):
    """The held query's time is up before the guest is ready; the client comes, and waits."""
    address = serve(summond, ring_tcp="7", image="echo", ready="delay", ready_delay="2s",
                    hold="1ms")["ipv4"]
    assert summond.dig(NAME).addresses == [address]
    assert summond.state(NAME) != "awake"
    answer = places["forwarded"].ask("tcp", address, 7)
    check_connected(summond, answer)


@pytest.mark.parametrize("options", [{"ready": "tcp", "ready_port": "7"}, {"ready": "frame"}])
@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_the_probe_is_not_its_own_client(summond, places, options, key):
    address = serve(summond, ring_tcp="7", image="echo", **options)[key]
    answer = places["bridge"].ask("tcp", address, 7)
    check_connected(summond, answer)
    assert summond.service(NAME)["doorbell"]["woke"] == 1


@pytest.mark.parametrize("start,retire,rests", [
    ("prepared", "destroy", {"prepared"}), ("suspended", "suspend", {"suspended"}),
    ("cold", "suspend", {"asleep", "suspended"}), ("cold", "snapshot", {"asleep", "suspended"}),
    ("snapshot", "destroy", {"asleep", "suspended"}), ("snapshot", "snapshot", {"asleep", "suspended"})])
def test_tiers_are_woken_too(summond, places, start, retire, rests):
    address = serve(summond, ring_tcp="7", image="echo", start=start, retire=retire)["ipv4"]
    answers = []
    for place in (*PLACES, "host"):
        summond.wait_state(NAME, *rests)
        answers.append(places[place].ask("tcp", address, 7))
        check_connected(summond, *answers)
        answers.append(places[place].ask("tcp", address, 7))  # it is awake
        check_connected(summond, *answers)
        summond.call("POST", f"/v1/services/{NAME}/retire", {"how": retire})


def test_a_cached_answer_leads_to_who_fell_asleep(summond, places):
    """The client keeps the address; the guest has been retired as idle, and is there again."""
    serve(summond, ring_tcp="7", image="echo", idle_after="200ms", min_life="0", ttl="0")
    answers = []
    for place in PLACES:
        [address] = summond.dig(NAME).addresses
        summond.wait_state(NAME, "asleep")
        answers.append(places[place].ask("tcp", address, 7))
        check_connected(summond, *answers)
        summond.wait_state(NAME, "asleep")

# SPDX-License-Identifier: ISC
"""What a client sees of names, on the sim backend: no hypervisor is needed for any of it."""
import pytest
from harness import Summond, wait_for

NAME = "www.example.test"
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with Summond(backend="sim", network=False).start() as daemon:
        yield daemon


def test_a_query_summons(summond):
    summond.add(NAME)
    assert summond.state(NAME) == "asleep"
    answer = summond.dig(NAME)
    assert answer.status == "NOERROR"
    assert answer.addresses == [summond.service(NAME)["ipv4"]]
    assert summond.state(NAME) == "awake"
    [summon] = summond.summons(NAME)
    assert summon["outcome"] == "ready"
    assert summon["cause"] == "query A 127.0.0.1"
    stages = [stage["name"] for stage in summon["stages"]]
    for stage in ("query", "admitted", "asked", "created", "first-instruction", "console", "ready",
                  "answered"):
        assert stage in stages
    times = [stage["at_ns"] for stage in summon["stages"]]
    assert times == sorted(times)


def test_an_awake_name_is_answered_without_a_summon(summond):
    summond.add(NAME)
    summond.dig(NAME)
    assert summond.dig(NAME).addresses
    assert summond.dig(NAME, "+tcp").addresses
    assert len(summond.summons(NAME)) == 1


def test_fifty_queries_join_one_summon(summond):
    summond.add(NAME, cmdline="sim.boot_delay=300ms")
    queries = [summond.dig_start(NAME, *(["+tcp"] if i % 2 else [])) for i in range(50)]
    answers = [query.communicate()[0] for query in queries]
    address = summond.service(NAME)["ipv4"]
    assert all(f"\t{address}" in answer for answer in answers)
    [summon] = summond.summons(NAME)
    # Those that came after it was ready were answered at once.
    assert 1 <= summon["waiters"] <= 50
    assert summon["waiters"] + summond.get("/v1/status")["counters"]["dns"]["answered"] >= 50
    [instance] = summond.get("/v1/instances")["instances"]
    assert instance["service"] == NAME


def test_names_that_are_none(summond):
    summond.add(NAME)
    assert summond.dig("nobody.example.test").status == "NXDOMAIN"
    assert summond.dig("www.elsewhere.test").status == "REFUSED"
    assert summond.dig(NAME, "MX").status == "NOERROR"
    assert not summond.dig(NAME, "AAAA").addresses
    assert "SOA" in summond.dig("example.test", "SOA").text
    assert summond.state(NAME) == "asleep", "none of these may wake it"


def test_a_start_that_fails_is_servfail_with_the_reason(summond):
    summond.add(NAME, cmdline="sim.fail=start")
    answer = summond.dig(NAME)
    assert answer.status == "SERVFAIL"
    assert answer.ede == 23
    service = summond.service(NAME)
    assert service["state"] == "asleep" and service["failures"] == 1
    assert service["last_error"]
    again = summond.dig(NAME)
    assert again.status == "SERVFAIL" and "again in" in again.text
    assert len(summond.summons(NAME)) == 1, "while it backs off nothing is started"


def test_a_failure_is_forgotten_when_it_works_again(summond):
    summond.policy("quick", backoff_first="100ms", backoff_max="100ms")
    summond.add(NAME, cmdline="sim.fail=start", policy="quick")
    assert summond.dig(NAME).status == "SERVFAIL"
    summond.add(NAME, policy="quick")
    wait_for(lambda: summond.dig(NAME).addresses, "the backoff to be over")
    assert summond.service(NAME)["failures"] == 0


@pytest.mark.parametrize("word,status", [("address", "NOERROR"), ("servfail", "SERVFAIL")])
def test_a_guest_that_is_never_ready(summond, word, status):
    summond.policy("brief", hold="200ms", ready_timeout="600ms", at_deadline=word)
    summond.add(NAME, cmdline="sim.never_ready=yes", policy="brief")
    answer = summond.dig(NAME)
    assert answer.status == status
    assert answer.ede == 14, "Not Ready"
    wait_for(lambda: summond.service(NAME)["failures"] == 1, "the start to be given up")
    summond.wait_state(NAME, "asleep")
    assert "ready_timeout" in summond.service(NAME)["last_error"]


def test_only_the_types_of_the_policy_wake(summond):
    summond.policy("six", wake_on="AAAA")
    summond.add(NAME, policy="six", ipv6="fd00::77")
    assert summond.dig(NAME, "A").addresses
    assert summond.state(NAME) == "asleep"
    assert summond.dig(NAME, "AAAA").addresses == ["fd00::77"]
    assert summond.state(NAME) == "awake"


def test_idle_guests_are_retired_and_come_back(summond):
    summond.policy("short", idle_after="400ms", min_life="0", ttl="0")
    summond.add(NAME, policy="short")
    summond.dig(NAME)
    summond.wait_state(NAME, "asleep")
    assert summond.dig(NAME).addresses
    assert len(summond.summons(NAME)) == 2
    events = [row["event"] for row in summond.get(f"/v1/transitions?service={NAME}")["transitions"]]
    assert "retire" in events


@pytest.mark.parametrize("start,rest", [("prepared", "prepared"), ("suspended", "suspended"),
                                        ("snapshot", "suspended")])
def test_made_ready_ahead(summond, start, rest):
    summond.policy("ahead", start=start, idle_after="400ms", min_life="0", ttl="0")
    summond.add(NAME, policy="ahead")
    summond.wait_state(NAME, rest)
    assert summond.dig(NAME).addresses
    summond.wait_state(NAME, rest)
    assert summond.dig(NAME).addresses
    assert [summon["outcome"] for summon in summond.summons(NAME)] == ["ready", "ready"]


def test_a_policy_that_changes_while_a_guest_starts(summond):
    summond.policy("late", ready="console", hold="5s", ready_timeout="1min")
    summond.add(NAME, policy="late", cmdline="sim.boot_delay=500ms")
    query = summond.dig_start(NAME)
    summond.wait_state(NAME, "booting")
    summond.policy("late", ready="delay", ready_delay="1min", hold="5s", ready_timeout="2min")
    # It is known to be ready as was agreed when it started.
    assert summond.service(NAME)["ipv4"] in query.communicate()[0]
    assert summond.state(NAME) == "awake"


def test_a_shorter_hold_counts_for_the_next_query(summond):
    summond.policy("less", hold="5s", ready_timeout="1min")
    summond.add(NAME, policy="less", cmdline="sim.never_ready=yes")
    first = summond.dig_start(NAME)
    summond.wait_state(NAME, "booting")
    summond.policy("less", hold="10ms", ready_timeout="1min")
    assert summond.dig(NAME).ede == 14
    assert first.poll() is None, "the first still waits"
    summond.call("DELETE", f"/v1/services/{NAME}")
    assert "SERVFAIL" in first.communicate()[0]


def test_a_pinned_service_is_awake_and_stays(summond):
    summond.policy("short", idle_after="200ms", min_life="0", ttl="0")
    summond.add(NAME, policy="short", cmdline="sim.die_after=700ms")
    assert summond.call("POST", f"/v1/services/{NAME}/pin")[1]["pinned"]
    summond.wait_state(NAME, "awake")
    # It dies by itself, and is started again because it is pinned.
    wait_for(lambda: len(summond.summons(NAME)) >= 2, "a second start")
    summond.call("POST", f"/v1/services/{NAME}/unpin")
    summond.wait_state(NAME, "asleep")


def events(summond, name):
    return [t["event"] for t in summond.get(f"/v1/transitions?service={name}")["transitions"]]


@pytest.mark.parametrize("words", ["sim.fail_suspend=yes", "sim.die_after=20ms"])
def test_what_cannot_be_kept_suspended_is_not_booted_over_and_over(summond, words):
    summond.policy("warm", start="suspended", backoff_first="1h", backoff_max="1h")
    summond.add(NAME, policy="warm", cmdline=f"{words} sim.boot_delay=20ms sim.suspend_delay=1s")
    wait_for(lambda: "exited" in events(summond, NAME), "the guest to end")
    summond.wait_state(NAME, "asleep")
    assert events(summond, NAME).count("warm") == 1
    assert summond.dig(NAME).addresses, "a query is not held up by it"


def test_a_pinned_guest_that_always_dies_is_not_started_over_and_over(summond):
    summond.policy("dies", backoff_first="1h", backoff_max="1h")
    summond.add(NAME, policy="dies", cmdline="sim.die_after=60ms")
    summond.call("POST", f"/v1/services/{NAME}/pin")
    wait_for(lambda: events(summond, NAME).count("exited") >= 2, "it to have died twice")
    summond.wait_state(NAME, "asleep")
    assert summond.dig(NAME).addresses
    assert [s["cause"] for s in summond.summons(NAME)] == ["query A 127.0.0.1", "pin", "pin"]


def test_wake_and_retire_by_hand(summond):
    summond.add(NAME)
    status, body = summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})
    assert status == 200 and body["state"] == "awake"
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "suspend"})[0] == 202
    summond.wait_state(NAME, "suspended")
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {})[0] == 202
    summond.wait_state(NAME, "asleep")
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {})[0] == 409


def test_demand_while_it_stops_is_not_lost(summond):
    summond.add(NAME, cmdline="sim.stop_delay=400ms")
    summond.dig(NAME)
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    assert summond.state(NAME) == "stopping"
    assert summond.dig(NAME).addresses
    assert summond.state(NAME) == "awake"
    assert len(summond.summons(NAME)) == 2


def test_an_address_is_never_given_to_another(summond):
    first = summond.add(NAME)["ipv4"]
    summond.call("DELETE", f"/v1/services/{NAME}")
    assert summond.add("other.example.test")["ipv4"] != first
    status, body = summond.call("PUT", "/v1/services/third.example.test", {"ipv4": first})
    assert status == 409 and NAME in body["error"]
    assert summond.add(NAME)["ipv4"] == first


def test_a_refused_definition_takes_no_address_from_a_name(summond):
    first = summond.add(NAME)["ipv4"]
    summond.call("DELETE", f"/v1/services/{NAME}")
    assert summond.call("PUT", f"/v1/services/{NAME}", {"initrd": "/no/such/file"})[0] == 400
    # Its address is still its own, and others get one of theirs.
    assert summond.add("other.example.test")["ipv4"] != first
    assert summond.add(NAME)["ipv4"] == first


def test_the_console_is_kept(summond):
    summond.add(NAME)
    summond.dig(NAME)
    status, text = summond.call("GET", f"/v1/services/{NAME}/log", raw=True)
    assert status == 200 and "summond: ready" in text


def test_an_awake_guest_of_an_old_definition_is_not_kept(summond):
    summond.policy("keep", retire="suspend")
    summond.add(NAME, policy="keep")
    summond.dig(NAME)
    summond.add(NAME, policy="keep", cmdline="new")
    assert summond.state(NAME) == "awake", "it serves on"
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {})[0] == 202
    summond.wait_state(NAME, "asleep", "suspended")
    assert summond.state(NAME) == "asleep", "else it would come back as it was"

# SPDX-License-Identifier: ISC
"""Guests at rest go deeper with time, without being woken for it."""
import pytest

from harness import Summond, wait_for

NAME = "www.example.test"
SIM = 'backend "sim" { persist = yes }'
ALL = "snapshot after 300ms, destroy after 600ms"


@pytest.fixture
def start():
    running = []

    def run(config=SIM):
        running.append(Summond(config, backend="sim", network=False).start())
        return running[-1]
    yield run
    for summond in running:
        summond.stop()


def rest(summond, tiers, **options):
    summond.policy("p", retire="suspend", idle_after="0", ttl="0", tiers=tiers, **options)
    summond.add(NAME, policy="p")
    assert summond.dig(NAME).addresses
    summond.call("POST", f"/v1/services/{NAME}/retire", {})


def events(summond):
    rows = summond.get(f"/v1/transitions?service={NAME}")["transitions"]
    return [row["event"] for row in reversed(rows)]


def where(summond):
    return summond.get(f"/v1/services/{NAME}").get("rests")


def test_all_tiers_in_their_order(start):
    summond = start()
    rest(summond, ALL)
    summond.wait_state(NAME, "asleep")
    ways = wait_for(lambda: events(summond)[-1] == "exited" and events(summond), "the journal")
    assert ways[ways.index("rest"):] == ["rest", "suspended", "deepen", "suspended", "retire",
                                         "exited"]
    assert len(summond.summons(NAME)) == 1  # nothing was woken for it
    assert summond.dig(NAME).addresses


def test_demand_wakes_from_every_tier(start):
    summond = start()
    rest(summond, "snapshot after 100ms")
    wait_for(lambda: where(summond) == "disk", "the guest to be on disk")
    assert summond.dig(NAME).addresses
    assert events(summond).count("started") == 1
    assert where(summond) is None


def test_a_changed_policy_counts_at_once(start):
    summond = start()
    rest(summond, "none")
    summond.wait_state(NAME, "suspended")
    assert where(summond) == "memory"
    assert summond.call("PATCH", "/v1/policies/p", {"tiers": "snapshot after 1ms"})[0] == 200
    wait_for(lambda: where(summond) == "disk", "the guest to be on disk")


def test_by_hand(start):
    summond = start()
    rest(summond, "none")
    summond.wait_state(NAME, "suspended")
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "suspend"})[0] == 409
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "snapshot"})[0] == 202
    wait_for(lambda: where(summond) == "disk", "the guest to be on disk")
    assert summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "snapshot"})[0] == 409


def test_time_without_a_daemon_counts(start):
    summond = start()
    rest(summond, "snapshot after 1ms, destroy after 1500ms")
    wait_for(lambda: where(summond) == "disk", "the guest to be on disk")
    wait_for(lambda: events(summond).count("suspended") == 2, "the journal")
    summond.kill(9)
    summond.start()
    assert where(summond) in ("disk", None)
    summond.wait_state(NAME, "asleep")
    ways = wait_for(lambda: events(summond)[-1] == "exited" and events(summond), "the journal")
    assert "deepen" not in ways[ways.index("found-suspended"):]  # it was known to be on disk


def test_a_guest_that_cannot_go_deeper_stays(start):
    summond = start(SIM.replace("yes", 'yes\n fail_suspend = "2"\n save_delay = 500ms'))
    rest(summond, "snapshot after 1ms")
    summond.wait_state(NAME, "deepening")
    assert summond.dig(NAME).addresses  # wanted meanwhile: what failed is no failure of its wake
    assert events(summond).count("started") == 1


def test_a_tier_that_the_backend_lacks_is_refused(start):
    summond = start('backend "sim" { capabilities = "console suspend" }')
    summond.policy("p", retire="suspend", tiers="snapshot after 10min")
    status, body = summond.call("PUT", f"/v1/services/{NAME}", {"policy": "p"})
    assert status == 400 and "tiers snapshot" in body["error"] and "cannot do" in body["error"]
    summond.policy("p", retire="suspend", tiers="destroy after 1d")
    summond.add(NAME, policy="p")
    status, body = summond.call("PATCH", "/v1/policies/p", {"tiers": "snapshot after 1s"})
    assert status == 400 and NAME in body["error"]

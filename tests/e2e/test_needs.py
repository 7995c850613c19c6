# SPDX-License-Identifier: ISC
"""What a service needs is woken before it, stays while it is there, and is retired after it."""
import sqlite3

import pytest

from harness import Summond, at_once, wait_for

SITE, APP, DB = (f"{name}.example.test" for name in ("site", "app", "db"))


@pytest.fixture
def summond():
    with Summond('backend "sim" { persist = yes\nboot_delay = 100ms }', backend="sim",
                 network=False).start() as daemon:
        daemon.policy("db", idle_after="300ms", min_life="0", ttl="0", hold="5s")
        daemon.policy("app", idle_after="300ms", min_life="0", ttl="0", hold="5s", needs=DB)
        daemon.policy("site", idle_after="0", ttl="0", hold="5s", needs=f"{APP} {DB}")
        for name, policy in (DB, "db"), (APP, "app"), (SITE, "site"):
            daemon.add(name, policy=policy)
        yield daemon


def steps(summond):
    rows = summond.get("/v1/transitions?limit=1000")["transitions"]
    return [(row["service"], row["to"]) for row in reversed(rows)]


def retire(summond, name):
    assert summond.call("POST", f"/v1/services/{name}/retire", {})[0] == 202


def test_woken_before_and_retired_after(summond):
    assert summond.dig(SITE).addresses
    wait_for(lambda: (SITE, "awake") in steps(summond), "the journal")
    way = steps(summond)
    assert way.index((DB, "awake")) < way.index((APP, "creating"))
    assert way.index((APP, "awake")) < way.index((SITE, "creating"))
    assert summond.summons(DB)[0]["cause"] in (f"needed by {SITE}", f"needed by {APP}")
    wait_for(lambda: summond.service(DB)["why"].endswith("needs it"), "what keeps it awake")
    retire(summond, SITE)
    for name in (SITE, APP, DB):
        summond.wait_state(name, "asleep")
    wait_for(lambda: steps(summond)[-1] == (DB, "asleep"), "the journal")
    way = steps(summond)
    down = [way.index((name, "stopping")) for name in (SITE, APP, DB)]
    assert down == sorted(down)
    assert way.index((SITE, "asleep")) < way.index((APP, "stopping"))
    assert way.index((APP, "asleep")) < way.index((DB, "stopping"))


def test_an_order_goes_the_other_way_round(summond):
    assert summond.dig(SITE).addresses
    retire(summond, DB)
    for name in (DB, APP, SITE):
        summond.wait_state(name, "asleep")
    wait_for(lambda: steps(summond)[-1] == (DB, "asleep"), "the journal")
    way = steps(summond)
    assert way.index((SITE, "asleep")) < way.index((DB, "stopping"))
    assert way.index((APP, "asleep")) < way.index((DB, "stopping"))
    assert summond.dig(SITE).addresses


def test_what_cannot_be_met_is_told(summond):
    summond.policy("db", idle_after="300ms", ttl="0", backoff_first="0")
    summond.add(DB, policy="db", cmdline="sim.fail_start=yes")
    answer = summond.dig(APP)
    assert answer.status == "SERVFAIL" and DB in answer.ede_text
    assert summond.service(APP)["failures"] == 0
    assert summond.state(APP) == "asleep"


def test_what_fails_is_not_started_sooner_for_those_that_need_it(summond):
    summond.policy("db", idle_after="300ms", ttl="0", backoff_first="1h", backoff_max="1h")
    summond.add(DB, policy="db", cmdline="sim.fail_start=yes")
    for _ in range(3):
        answer = summond.dig(APP)
        assert answer.status == "SERVFAIL" and DB in answer.ede_text
    wait_for(lambda: summond.summons(DB), "the journal")
    assert summond.service(DB)["failures"] == len(summond.summons(DB)) == 1
    assert "was not woken" in summond.summons(APP)[0]["detail"]


def test_a_pin_that_cannot_be_met_is_not_tried_all_the_time(summond):
    summond.policy("app", idle_after="0", ttl="0", hold="5s", needs=DB, retire="suspend",
                   backoff_first="1h", backoff_max="1h")
    assert summond.dig(APP).addresses
    for name, state in (APP, "suspended"), (DB, "asleep"):
        retire(summond, name)
        summond.wait_state(name, state)
    summond.policy("db", idle_after="300ms", ttl="0", backoff_first="1h", backoff_max="1h")
    summond.add(DB, policy="db", cmdline="sim.fail_start=yes")
    summond.call("POST", f"/v1/services/{APP}/pin", {})
    expired = lambda: summond.get("/v1/status")["counters"]["admission"]["expired"]
    wait_for(lambda: expired() == 1, "it to be given up")
    summond.policy("slow", hold="5s", ttl="0")
    summond.add("slow.example.test", policy="slow", cmdline="sim.boot_delay=500ms")
    assert summond.dig("slow.example.test").addresses  # time passes
    assert expired() == 1 and summond.state(APP) == "suspended"


def test_what_is_needed_no_more_goes_by_its_own_policy(summond):
    """Its life was over while another needed it, which does not by the time that it is gone."""
    summond.policy("db", idle_after="0", min_life="0", ttl="0", max_life="700ms")
    summond.policy("app", idle_after="0", min_life="0", ttl="0", hold="5s", needs=DB,
                   retire="shutdown", shutdown_grace="1min")
    summond.add(APP, policy="app", cmdline="sim.shutdown_delay=2s")
    assert summond.dig(APP).addresses
    summond.wait_state(APP, "stopping")
    assert summond.state(DB) == "awake"
    summond.policy("app", idle_after="0", ttl="0", hold="5s", needs="")
    summond.wait_state(DB, "asleep")


@pytest.mark.parametrize("policy,needs,way", [
    ("db", DB, f"{DB} needs {DB}"),
    ("db", SITE, f"{DB} needs {SITE} needs {APP} needs {DB}"),
    ("app", SITE, f"{SITE} needs {APP} needs {SITE}"),
])
def test_what_goes_round_is_refused(summond, policy, needs, way):
    status, body = summond.call("PATCH", f"/v1/policies/{policy}", {"needs": needs})
    assert status == 400 and "goes round" in body["error"]
    if policy == "db":
        assert way in body["error"]
    assert summond.dig(SITE).addresses


def test_what_is_not_there_is_refused(summond):
    summond.policy("lone", needs="nobody.example.test")
    status, body = summond.call("PUT", "/v1/services/lone.example.test", {"policy": "lone"})
    assert status == 400 and "no service nobody.example.test" in body["error"]
    status, body = summond.call("PUT", "/v1/services/lone.example.test", {"policy": "app"})
    assert status == 201


def test_many_ways_to_what_is_needed_are_searched_once(summond):
    """Sixteen floors, each of which needs all of the next: four billion ways from top to bottom."""
    floors = [[f"{kind}{floor}.example.test" for kind in "abcd"] for floor in range(16)]
    below = ""
    for floor, names in enumerate(floors):
        summond.policy(f"floor{floor}", needs=below)
        for name in names:
            summond.add(name, policy=f"floor{floor}")
        below = " ".join(names)
    status, answer = summond.call("PATCH", "/v1/policies/floor0", {"needs": floors[15][3]})
    assert status == 400 and "that goes round" in answer["error"]
    # One floor more is too deep, also where most of the way has been searched from nearer.
    summond.policy("roof", needs=below)
    summond.add("roof.example.test", policy="roof")
    summond.policy("sky", needs=f"{floors[15][0]} roof.example.test")
    status, answer = summond.call("PUT", "/v1/services/sky.example.test", {"policy": "sky"})
    assert status == 400 and "more than 16 services away" in answer["error"]


def two(summond):
    """Two that are awake, each with a policy of its own."""
    for name in ("one", "two"):
        summond.policy(name, idle_after="0", ttl="0")
        summond.add(f"{name}.example.test", policy=name)
        assert summond.dig(f"{name}.example.test").addresses
    return "one.example.test", "two.example.test"


def test_changes_at_the_same_time_do_not_go_round(summond):
    one, other = two(summond)
    for _ in range(5):
        statuses = at_once(summond, ("PATCH", "/v1/policies/one", {"needs": other}),
                           ("PATCH", "/v1/policies/two", {"needs": one}))
        assert sorted(statuses) in ([200, 400], [200, 409]), statuses
        for name in ("one", "two"):
            assert summond.call("PATCH", f"/v1/policies/{name}", {"needs": "none"})[0] == 200
    summond.policy("three", idle_after="0", ttl="0", needs=other)
    statuses = at_once(summond, ("PATCH", f"/v1/services/{one}", {"policy": "three"}),
                       ("PATCH", "/v1/policies/two", {"needs": one}))
    assert sorted(statuses) in ([200, 400], [200, 409]), statuses


def test_who_goes_round_in_the_store_can_be_sent_away(summond):
    one, other = two(summond)
    summond.kill()
    with sqlite3.connect(summond.folder / "state" / "summond.db") as db:
        for policy, needed in (("one", other), ("two", one)):
            db.execute("INSERT OR REPLACE INTO policy_option VALUES (?, 'needs', ?)", (policy, needed))
    db.close()
    summond.start()
    retire(summond, one)
    retire(summond, other)
    assert [summond.state(name) for name in (one, other)] == ["awake"] * 2, "each waits for the other"
    assert summond.call("PATCH", "/v1/policies/one", {"needs": "none"})[0] == 200
    retire(summond, other)
    for name in (one, other):
        summond.wait_state(name, "asleep")

# SPDX-License-Identifier: ISC
"""Pins that end by themselves, and hours in which a service is kept awake or asleep."""
import time

import pytest

from harness import Summond, wait_for

NAME = "www.example.test"
SIM = 'backend "sim" { persist = yes }'
ALWAYS = "00:00-24:00"


@pytest.fixture
def summond():
    with Summond(SIM, backend="sim", network=False).start() as daemon:
        daemon.policy("p", idle_after="300ms", min_life="0", ttl="0")
        daemon.add(NAME, policy="p")
        yield daemon


def patch(summond, **options):
    status, body = summond.call("PATCH", "/v1/policies/p", options)
    assert status == 200, body


def why(summond):
    return summond.service(NAME)["why"]


def test_a_pin_ends_by_itself(summond):
    summond.ctl("pin", NAME, "--for", "1500ms")
    summond.wait_state(NAME, "awake")
    assert summond.service(NAME)["pinned"] and "pinned_until" in summond.service(NAME)
    assert "a pin keeps it so" in why(summond)
    summond.wait_state(NAME, "asleep")
    assert not summond.service(NAME)["pinned"] and "pinned_until" not in summond.service(NAME)


def test_a_pin_without_an_end_has_none(summond):
    summond.ctl("pin", NAME, "--for", "200ms")
    summond.ctl("pin", NAME)
    time.sleep(0.5)
    assert summond.service(NAME)["pinned"]
    assert summond.state(NAME) == "awake"


def test_a_pin_that_ended_while_nobody_looked(summond):
    summond.ctl("pin", NAME, "--for", "700ms")
    summond.wait_state(NAME, "awake")
    summond.kill(9)
    time.sleep(1)
    summond.start()
    wait_for(lambda: not summond.service(NAME)["pinned"], "the pin to end")
    summond.wait_state(NAME, "asleep")


def test_a_pin_outlives_the_daemon(summond):
    summond.ctl("pin", NAME, "--for", "2h")
    until = summond.service(NAME)["pinned_until"]
    summond.kill(9)
    summond.start()
    assert summond.service(NAME)["pinned_until"] == until
    summond.wait_state(NAME, "awake")


@pytest.mark.parametrize("span", ["0", "soon", "4000d", 7])
def test_pins_that_are_none(summond, span):
    status, body = summond.call("POST", f"/v1/services/{NAME}/pin", {"for": span})
    assert status == 400 and "for" in body["error"]
    assert not summond.service(NAME)["pinned"]


def test_kept_awake(summond):
    patch(summond, keep_awake=ALWAYS)
    summond.wait_state(NAME, "awake")
    assert "keep_awake" in why(summond)
    summond.call("POST", f"/v1/services/{NAME}/retire", {})  # it comes back
    wait_for(lambda: [s["cause"] for s in summond.summons(NAME)].count("schedule") >= 2,
             "it to be woken again")
    patch(summond, keep_awake="none")
    summond.wait_state(NAME, "asleep")


def test_kept_asleep(summond):
    patch(summond, idle_after="0")
    assert summond.dig(NAME).addresses
    patch(summond, keep_asleep=ALWAYS)
    summond.wait_state(NAME, "asleep")
    answer = summond.dig(NAME)
    assert answer.status == "SERVFAIL" and "schedule" in answer.ede_text
    assert "keep_asleep" in why(summond)
    summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})  # an operator may
    assert summond.state(NAME) == "awake"
    assert summond.dig(NAME).addresses
    summond.call("POST", f"/v1/services/{NAME}/retire", {})
    summond.wait_state(NAME, "asleep")
    summond.ctl("pin", NAME)
    summond.wait_state(NAME, "awake")
    summond.ctl("unpin", NAME)
    summond.wait_state(NAME, "asleep")


def test_an_edge_that_nobody_saw(summond):
    """The hour begins while the daemon does not run."""
    patch(summond, idle_after="0")
    assert summond.dig(NAME).addresses
    soon = (int(time.time()) // 60 + 1) * 60
    if soon - time.time() < 5:
        soon += 60
    begins = time.strftime("%H:%M", time.gmtime(soon))
    ends = time.strftime("%H:%M", time.gmtime(soon + 3600))
    patch(summond, keep_asleep=f"{begins}-{ends}")
    assert summond.dig(NAME).addresses
    summond.kill(9)
    time.sleep(soon - time.time() + 0.5)
    summond.start()
    summond.wait_state(NAME, "asleep")
    assert summond.dig(NAME).status == "SERVFAIL"


def test_a_zone_that_is_none_is_refused(summond):
    status, body = summond.call("PATCH", "/v1/policies/p", {"time_zone": "Europe/Atlantis"})
    assert status == 400 and "Europe/Atlantis" in body["error"]
    patch(summond, time_zone="UTC")

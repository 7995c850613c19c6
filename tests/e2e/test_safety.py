# SPDX-License-Identifier: ISC
"""Strangers must not start machines: who may wake, how often, and what the others are told."""
import re
import subprocess

import pytest
from harness import Summond, wait_for

NAME = "www.example.test"
OTHER = "other.example.test"
STRANGER = "192.0.2.10"  # in another network than NEIGHBOUR
NEIGHBOUR = "198.51.100.10"


@pytest.fixture(scope="module", autouse=True)
def addresses():
    for address in (STRANGER, NEIGHBOUR):
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    yield
    for address in (STRANGER, NEIGHBOUR):
        subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=True)


@pytest.fixture
def start():
    """Starts a summond with more configuration, and stops it in the end."""
    running = []

    def go(config=""):
        running.append(Summond(config=config, backend="sim", network=False).start())
        return running[-1]

    yield go
    for daemon in running:
        daemon.stop()


def stranger(summond, name, *words, address=STRANGER):
    return summond.dig(name, "-b", address, *words)


def is_truncated(answer):
    return " tc" in re.search(r"^;; flags:([^;]*);", answer.text, re.M).group(1)


def wake_counters(summond):
    return summond.get("/v1/status")["counters"]["wake"]


def test_a_stranger_wakes_only_over_tcp(start):
    summond = start()
    summond.add(NAME)
    answer = stranger(summond, NAME, "+ignore", "+nocookie")
    assert answer.status == "NOERROR" and is_truncated(answer) and not answer.addresses
    assert summond.state(NAME) == "asleep"
    assert wake_counters(summond) == {"started": 0, "prohibited": 0, "unverified": 1,
                                      "over_source": 0, "over_service": 0, "over_total": 0}
    # As every resolver does, dig then asks over TCP.
    assert stranger(summond, NAME).addresses == [summond.service(NAME)["ipv4"]]
    assert summond.state(NAME) == "awake"
    # Awake names are answered over UDP to anyone.
    assert stranger(summond, NAME, "+ignore", address=NEIGHBOUR).addresses
    assert wake_counters(summond)["started"] == 1


def test_a_stranger_does_not_join_over_udp_either(start):
    summond = start()
    summond.policy("late", hold="5s", ready_timeout="1min")
    summond.add(NAME, policy="late", cmdline="sim.boot_delay=500ms")
    first = summond.dig_start(NAME, "-b", STRANGER, "+tcp")
    summond.wait_state(NAME, "booting")
    assert is_truncated(stranger(summond, NAME, "+ignore"))
    assert summond.service(NAME)["ipv4"] in first.communicate()[0]


def test_a_cookie_shows_where_the_client_is(start):
    summond = start()
    summond.add(NAME)
    answer = stranger(summond, NAME, "+ignore", "+cookie")
    assert is_truncated(answer)
    cookie = re.search(r"COOKIE: ([0-9a-f]{48}) \(good\)", answer.text).group(1)
    assert is_truncated(stranger(summond, NAME, "+ignore", f"+cookie={cookie}", address=NEIGHBOUR))
    assert summond.state(NAME) == "asleep", "another address must not use it"
    assert stranger(summond, NAME, "+ignore", f"+cookie={cookie}").addresses
    assert summond.state(NAME) == "awake"
    counters = summond.get("/v1/status")["counters"]["dns"]
    assert (counters["cookies_good"], counters["cookies_bad"]) == (1, 1)


def test_the_trusted_wake_at_once(start):
    summond = start(f'wake {{ trusted = ["{STRANGER}/24"] }}')
    summond.add(NAME)
    assert is_truncated(stranger(summond, NAME, "+ignore", address=NEIGHBOUR))
    assert is_truncated(summond.dig(NAME, "+ignore")), "the list takes the place of the default"
    assert stranger(summond, NAME, "+ignore").addresses


def test_verifying_may_be_off(start):
    summond = start("wake { verify = false }")
    summond.add(NAME)
    assert stranger(summond, NAME, "+ignore").addresses
    [check] = [c for c in summond.get("/v1/check")["checks"] if c["name"] == "wake"]
    assert check["level"] == "warning" and "wake.verify is off" in check["message"]


def test_networks_may_be_kept_from_waking(start):
    summond = start(f'wake {{ allow = ["192.0.2.0/24", "127.0.0.1"]; deny = ["{STRANGER}"] }}')
    summond.add(NAME)
    for address in (STRANGER, NEIGHBOUR):
        answer = stranger(summond, NAME, "+tcp", address=address)
        assert answer.status == "REFUSED" and answer.ede == 18
        assert "may not start it" in answer.ede_text
    assert summond.state(NAME) == "asleep"
    assert wake_counters(summond)["prohibited"] == 2
    assert f"not started for {STRANGER}: its network may not" in summond.log()
    assert summond.dig(NAME).addresses
    assert stranger(summond, NAME, "+ignore").addresses, "what is awake is anybody's"


def sleep_again(summond, name):
    summond.call("POST", f"/v1/services/{name}/retire", {"how": "destroy"})
    summond.wait_state(name, "asleep")


@pytest.mark.parametrize("option,counter,text", [
    ("per_source", "over_source", "by this network"),
    ("per_service", "over_service", "of this service"),
    ("total", "over_total", "in all")])
def test_budgets(start, option, counter, text):
    summond = start(f"wake {{ {option} = 2/1h }}")
    summond.add(NAME)
    summond.add(OTHER)
    for _ in range(2):
        assert stranger(summond, NAME, "+tcp").addresses
        # Asking for what is awake costs nothing.
        assert stranger(summond, NAME, "+tcp").addresses
        sleep_again(summond, NAME)
    answer = stranger(summond, NAME, "+tcp")
    assert answer.status == "SERVFAIL" and answer.ede == 14
    assert f"too many starts {text}" in answer.ede_text
    assert summond.state(NAME) == "asleep"
    assert wake_counters(summond)[counter] == 1
    assert "too many starts" in summond.log()
    # What is left to whom.
    assert bool(stranger(summond, OTHER, "+tcp").addresses) == (option == "per_service")
    assert bool(stranger(summond, OTHER, "+tcp", address=NEIGHBOUR).addresses) == (option != "total")
    # An operator is not a stranger.
    status, _ = summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})
    assert status == 200


def test_a_flood_of_refusals_does_not_fill_the_log(start):
    summond = start(f'wake {{ deny = ["{STRANGER}"] }}')
    summond.add(NAME)
    for _ in range(25):
        assert stranger(summond, NAME, "+tcp").status == "REFUSED"
    assert summond.log().count("not started for") == 10


@pytest.mark.parametrize("kind", ["MX", "TXT", "NS", "SOA", "DS", "ANY", "CNAME", "SRV", "TYPE999"])
def test_types_that_never_wake(start, kind):
    summond = start()
    summond.add(NAME)
    assert summond.dig(NAME, kind).status == "NOERROR"
    assert summond.dig(NAME, kind, "+tcp").status == "NOERROR"
    assert summond.state(NAME) == "asleep"
    assert not summond.summons(NAME)


def test_strangers_are_told_the_stage_and_no_more(start):
    summond = start()
    summond.add(NAME, cmdline="sim.fail=start")
    answer = stranger(summond, NAME, "+tcp")
    assert answer.status == "SERVFAIL" and answer.ede == 23
    assert answer.ede_text == "failed before stage created"
    reason = summond.service(NAME)["last_error"]
    again = stranger(summond, NAME, "+tcp")
    assert again.status == "SERVFAIL" and reason not in again.text
    assert re.fullmatch(r"the last start failed, tried again in [0-9.]+ s", again.ede_text)
    assert reason[:60] in summond.dig(NAME).ede_text, "who is trusted is told all"


def test_a_guest_that_fails_while_it_boots(start):
    summond = start()
    summond.policy("brief", hold="5s", ready_timeout="10s")
    summond.policy("held", hold="100ms", ready_timeout="10s", at_deadline="servfail")
    summond.add(NAME, cmdline="sim.never_ready=yes sim.die_after=100ms", policy="brief")
    answer = stranger(summond, NAME, "+tcp")
    assert (answer.status, answer.ede) == ("SERVFAIL", 23)
    assert answer.ede_text == "failed before stage ready"
    summond.add(OTHER, cmdline="sim.never_ready=yes", policy="held")
    answer = stranger(summond, OTHER, "+tcp")
    assert (answer.status, answer.ede, answer.ede_text) == ("SERVFAIL", 14, "still booting")


def test_zones_may_be_for_some(start):
    summond = start(f"""
zone "private.test" {{ ns "ns1" {{ address = 127.0.0.1 }}; allow = ["127.0.0.1", "192.0.2.0/24"]
    deny = ["{STRANGER}"] }}""")
    summond.add("www.private.test")
    for words in ([], ["+tcp"]):
        for address in (STRANGER, NEIGHBOUR):
            answer = stranger(summond, "www.private.test", *words, address=address)
            assert (answer.status, answer.ede) == ("REFUSED", 18)
    assert summond.state("www.private.test") == "asleep"
    assert stranger(summond, "nobody.example.test").status == "NXDOMAIN"
    assert summond.dig("www.private.test").addresses
    assert summond.get("/v1/status")["counters"]["dns"]["prohibited"] == 4
    text = summond.config.read_text().replace('    deny = ["192.0.2.10"]', "")
    summond.config.write_text(text)
    summond.process.send_signal(1)
    wait_for(lambda: "configuration reloaded" in summond.log(), "the reload")
    assert stranger(summond, "www.private.test").addresses


def test_answers_are_limited(start):
    summond = start("dns { rate_limit = 5 }")
    names = ["nobody.example.test"] * 40
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(summond.port), "-b", STRANGER, "+ignore",
                           "+tries=1", "+timeout=1", "+nocookie", *names[:12]],
                          capture_output=True, text=True, check=False)
    counters = summond.get("/v1/status")["counters"]["dns"]
    assert counters["limited"] > 0 and counters["slipped"] > 0
    assert done.stdout.count("NXDOMAIN") < 12
    [check] = [c for c in summond.get("/v1/check")["checks"] if c["name"] == "limits"]
    assert check["level"] == "warning" and "beyond the rate limit" in check["message"]
    # Not so for who is on this machine, or has a cookie, or comes over TCP.
    for words in (["@127.0.0.1"], ["@127.0.0.1", "-b", STRANGER, "+tcp"]):
        done = subprocess.run(["dig", *words, "-p", str(summond.port), "+tries=1", *names],
                              capture_output=True, text=True, check=False)
        assert done.stdout.count("NXDOMAIN") == len(names)


def test_lists_can_be_reloaded(start):
    summond = start()
    summond.add(NAME)
    assert is_truncated(stranger(summond, NAME, "+ignore"))
    with summond.config.open("a") as config:
        config.write(f'wake {{ trusted = ["{STRANGER}"] }}\n')
    summond.process.send_signal(1)
    wait_for(lambda: "configuration reloaded" in summond.log(), "the reload")
    assert stranger(summond, NAME, "+ignore").addresses

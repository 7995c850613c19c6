# SPDX-License-Identifier: ISC
"""What is too much waits for its turn, and takes the memory of those who need it least."""
import threading

import pytest

from harness import Summond, ask, wait_for

ONE, TWO, THREE = (f"{name}.example.test" for name in ("one", "two", "three"))
LARGE = "large.example.test"


@pytest.fixture
def start():
    running = []

    def run(limits, sim=""):
        config = f"limits {{\n{limits}\n}}\nguest {{ memory = 32MiB }}\n" \
                 f'backend "sim" {{\npersist = yes\n{sim}\n}}'
        running.append(Summond(config, backend="sim", network=False).start())
        summond = running[-1]
        summond.policy("stay", idle_after="0", min_life="0", ttl="0", hold="5s")
        return summond
    yield run
    for summond in running:
        summond.stop()


def counters(summond):
    return summond.get("/v1/status")["counters"]["admission"]


def ask_all(summond, names, *words):
    answers = [summond.dig_start(name, *words) for name in names]
    return [answer.communicate(timeout=60)[0] for answer in answers]


def test_so_many_starts_at_once(start):
    summond = start("starts = 2", "boot_delay = 300ms")
    names = [f"n{i}.example.test" for i in range(8)]
    for name in names:
        summond.add(name, policy="stay")
    answers = ask_all(summond, names)
    assert all("status: NOERROR" in answer for answer in answers)
    now = counters(summond)
    assert now["waited"] >= 1 and now["expired"] == 0
    assert now["starting"] == 0 and now["queued"] == 0
    assert now["memory"] == 8 * 32 << 20
    rows = reversed(summond.get("/v1/transitions?limit=1000")["transitions"])
    under_way, most = set(), 0
    for row in rows:
        if row["to"] in ("creating", "booting"):
            under_way.add(row["service"])
        else:
            under_way.discard(row["service"])
        most = max(most, len(under_way))
    assert most == 2


def test_who_waits_for_nothing_but_its_turn_is_started(start):
    """Nobody waits for any of them, as their clients have the answer at once."""
    summond = start("starts = 1000")
    summond.policy("brief", hold="0", at_deadline="address", idle_after="0", ttl="0")
    names = [f"n{i}.example.test" for i in range(60)]
    for name in names:
        summond.add(name, policy="brief")
    assert all("status: NOERROR" in answer for answer in ask_all(summond, names))
    for name in names:
        summond.wait_state(name, "awake")
    now = counters(summond)
    assert now["waited"] == now["expired"] == now["queued"] == 0


def test_a_start_that_waits_is_answered_at_its_deadline(start):
    summond = start("starts = 1", "never_ready = yes")
    summond.policy("brief", hold="200ms", at_deadline="servfail", ready_timeout="60s")
    summond.add(ONE, policy="brief")
    summond.add(TWO, policy="brief")
    summond.dig(ONE)
    first = summond.dig_start(TWO)
    wait_for(lambda: "waits for its turn: 1 of 1 starts" in summond.service(TWO)["why"],
             "the reason to be told")
    assert "waits for its turn" in summond.ctl("why", TWO).stdout
    text = first.communicate(timeout=60)[0]
    assert "SERVFAIL" in text and "waits for its turn" in text
    # Nobody waits for it any more: it is given up.
    wait_for(lambda: counters(summond)["expired"] == 1, "it to be given up")
    assert summond.summons(TWO)[0]["outcome"] == "failed"
    assert "starts are under way" in summond.summons(TWO)[0]["detail"]
    assert summond.service(TWO)["failures"] == 0
    assert summond.state(TWO) == "asleep"


def test_memory_comes_from_what_rests_longest(start):
    summond = start("memory = 64MiB\nevict_idle = 1h")
    summond.policy("rest", idle_after="0", min_life="0", ttl="0", retire="suspend", hold="5s")
    for name in (ONE, TWO, THREE):
        summond.add(name, policy="rest")
    for name in (ONE, TWO):
        assert summond.dig(name).addresses
        summond.call("POST", f"/v1/services/{name}/retire", {})
        summond.wait_state(name, "suspended")
    assert summond.dig(THREE).addresses
    assert summond.state(ONE) == "asleep" and summond.state(TWO) == "suspended"
    now = counters(summond)
    assert now["evicted_resting"] == 1 and now["evicted_awake"] == 0
    assert now["memory"] == 64 << 20
    assert "its memory was needed" in summond.service(ONE)["why"]


def test_to_disk_where_the_policy_has_one(start):
    summond = start("memory = 32MiB")
    summond.policy("rest", idle_after="0", ttl="0", retire="suspend",
                   tiers="snapshot after 1d", hold="5s")
    summond.add(ONE, policy="rest")
    summond.add(TWO, policy="rest")
    assert summond.dig(ONE).addresses
    summond.call("POST", f"/v1/services/{ONE}/retire", {})
    summond.wait_state(ONE, "suspended")
    assert summond.dig(TWO).addresses
    assert summond.service(ONE)["rests"] == "disk"
    summond.call("POST", f"/v1/services/{TWO}/retire", {})
    summond.wait_state(TWO, "suspended")
    assert summond.dig(ONE).addresses  # out of memory that TWO had
    assert summond.service(TWO)["rests"] == "disk"


def test_awake_and_idle_goes_and_what_is_in_use_stays(start):
    summond = start("memory = 64MiB\nevict_idle = 500ms")
    for name in (ONE, TWO, THREE):
        summond.add(name, policy="stay")
    summond.call("POST", f"/v1/services/{ONE}/pin", {})
    summond.wait_state(ONE, "awake")
    assert summond.dig(TWO).addresses
    answer = summond.dig_start(THREE)  # TWO was used just now: it is waited for
    assert "NOERROR" in answer.communicate(timeout=60)[0]
    assert summond.state(ONE) == "awake" and summond.state(TWO) == "asleep"
    assert counters(summond)["evicted_awake"] == 1
    summond.call("POST", f"/v1/services/{THREE}/pin", {})
    wait_for(lambda: summond.service(THREE)["pinned"], "the pin")
    summond.policy("brief", hold="200ms", at_deadline="servfail", ttl="0")
    summond.add(TWO, policy="brief")
    answer = summond.dig(TWO)
    assert answer.status == "SERVFAIL" and "waits for memory" in answer.ede_text
    assert summond.state(ONE) == summond.state(THREE) == "awake"
    wait_for(lambda: counters(summond)["queued"] == 0, "it to be given up")


def test_what_waits_for_memory_lets_smaller_ones_by(start):
    summond = start("memory = 96MiB")
    summond.add(ONE, policy="stay")
    summond.add(TWO, policy="stay")
    summond.add(LARGE, policy="stay", memory="96MiB")
    summond.call("POST", f"/v1/services/{ONE}/pin", {})
    summond.wait_state(ONE, "awake")
    waits = summond.dig_start(LARGE)
    wait_for(lambda: counters(summond)["queued"] == 1, "the large one to wait")
    assert summond.dig(TWO).addresses and summond.state(TWO) == "awake"
    now = counters(summond)
    assert now["queued"] == 1 and now["expired"] == 0
    assert "waits for memory" in waits.communicate(timeout=60)[0]


def test_what_lets_others_by_has_its_turn(start):
    """Small ones come and go all the time; for the large one both of their places must be free."""
    summond = start("memory = 64MiB", "boot_delay = 20ms")
    summond.policy("brief", idle_after="100ms", min_life="0", ttl="0", hold="5s", activity="traffic")
    names = [f"n{i}.example.test" for i in range(6)]
    for name in names:
        summond.add(name, policy="brief")
    summond.add(LARGE, policy="stay", memory="64MiB")
    over = threading.Event()

    def ask_on(name):
        while not over.is_set():
            try:
                ask(name, summond.port)
            except AssertionError:
                pass  # too late for it

    askers = [threading.Thread(target=ask_on, args=(name,)) for name in names]
    for asker in askers:
        asker.start()
    try:
        wait_for(lambda: counters(summond)["queued"] >= 3, "small ones to wait")
        assert summond.dig(LARGE).addresses
        assert summond.state(LARGE) == "awake"
    finally:
        over.set()
        summond.call("DELETE", f"/v1/services/{LARGE}")
        for asker in askers:
            asker.join()


@pytest.mark.parametrize("backoff", ["10ms", "1h"])
def test_a_pin_whose_wait_was_in_vain_is_tried_again(start, backoff):
    """As spaced as starts that fail, whether it sleeps or rests."""
    summond = start("memory = 64MiB")
    summond.policy("brief", idle_after="0", ready_timeout="300ms", hold="0", ttl="0",
                   backoff_first=backoff, backoff_max=backoff)
    for name in (ONE, TWO):
        summond.add(name, policy="brief")
    summond.call("POST", f"/v1/services/{ONE}/pin", {})
    summond.wait_state(ONE, "awake")
    summond.add(LARGE, policy="brief", memory="64MiB")
    summond.call("POST", f"/v1/services/{LARGE}/pin", {})
    wait_for(lambda: counters(summond)["expired"] == 1, "it to be given up")
    if backoff == "1h":
        summond.call("DELETE", f"/v1/services/{ONE}")
        wait_for(lambda: counters(summond)["memory"] == 0, "memory for all")
        summond.dig(TWO)
        summond.wait_state(TWO, "awake")  # the queue was looked at
        assert summond.state(LARGE) == "asleep"
        return
    wait_for(lambda: counters(summond)["expired"] >= 3, "it to be tried again")
    summond.call("DELETE", f"/v1/services/{ONE}")
    summond.wait_state(LARGE, "awake")


def test_more_memory_than_there_is(start):
    summond = start("memory = 64MiB")
    status, body = summond.call("PUT", f"/v1/services/{ONE}", {"memory": "65MiB"})
    assert status == 400 and "limits.memory" in body["error"]


def test_a_backend_that_fails_is_left_alone(start):
    summond = start("breaker = 3\nbreaker_for = 500ms")
    summond.policy("free", backoff_first="0", hold="5s")
    names = [f"n{i}.example.test" for i in range(3)]
    for name in names:
        summond.add(name, policy="free", cmdline="sim.fail_start=yes")
    summond.add(ONE, policy="free")
    for name in names:
        assert summond.dig(name).status == "SERVFAIL"
    answer = summond.dig(ONE)
    assert answer.status == "SERVFAIL" and "starts of backend sim fail" in answer.ede_text
    assert "starts of backend sim fail" in summond.service(ONE)["why"]
    assert counters(summond)["broken"] == 1
    wait_for(lambda: summond.dig(ONE).addresses, "it to be tried again")
    assert summond.dig(names[0]).ede_text.startswith("failed")


def test_what_is_removed_while_it_waits_is_not_started(start):
    summond = start("starts = 1")
    summond.policy("ahead", start="suspended", hold="5s", ttl="0")
    summond.add(ONE, policy="ahead")
    summond.wait_state(ONE, "suspended")
    summond.add(TWO, policy="stay", cmdline="sim.never_ready=yes")
    other = summond.dig_start(TWO)
    wait_for(lambda: summond.state(TWO) == "booting", "the only place to be taken")
    waits = summond.dig_start(ONE)
    wait_for(lambda: counters(summond)["queued"] == 1, "the other to wait")
    assert summond.call("DELETE", f"/v1/services/{ONE}")[0] == 204
    assert "status: SERVFAIL" in waits.communicate(timeout=60)[0]
    wait_for(lambda: [found["service"] for found in summond.get("/v1/instances")["instances"]] == [TWO],
             "it to be gone")
    assert counters(summond)["queued"] == 0
    summond.call("DELETE", f"/v1/services/{TWO}")
    other.communicate(timeout=60)
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "nothing to run")

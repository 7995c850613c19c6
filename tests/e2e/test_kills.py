# SPDX-License-Identifier: ISC
"""The daemon and its helpers, killed with -9 at random moments while clients come and go: each time all is
brought back, no client is lost but those of a guest that was killed, and in the end nothing is left over.
E2E_KILLS=500 makes it so many kills, E2E_SEED repeats their choice, E2E_LOG is where the daemon's log goes."""
import os
import random
import shutil
import signal
import threading
import time
from datetime import datetime

import pytest
from harness import BACKEND, ask, wait_for
from net import Here, finish, summond_with_guests
from space import check_same, helpers, picture, settled, ways

KILLS = int(os.environ.get("E2E_KILLS", "25"))
SEED = int(os.environ.get("E2E_SEED", str(time.time_ns() % 1000000)))
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
wake { per_source = none; per_service = none; total = none }"""
# Ways to start and to rest, in turn.
WAYS = [("cold", "destroy"), ("cold", "shutdown"), ("prepared", "destroy"), ("suspended", "suspend"),
        ("snapshot", "snapshot"), ("cold", "suspend"), ("cold", "snapshot"), ("snapshot", "destroy")]
CABLES = ("behind", "beside")
KEYS = ("ipv4", "ipv6", "second")  # where a service is visited
AT_REST = {"asleep", "prepared", "suspended"}
# How long after a guest was killed its clients may still hear of that: backoff, and a stall.
AFTERMATH = 2


def add_services(summond):
    services = []
    for number, (start, retire) in enumerate(WAYS):
        name = f"{start}-{retire}"
        summond.policy(name, start=start, retire=retire, idle_after="300ms", min_life="0", ttl="0",
                       ring_tcp="7", ring_rate="none", ready_timeout="30s", backoff_first="10ms",
                       backoff_max="10ms", shutdown_grace="1s")
        both = [f"10.77.{place}.{number + 1}" for place in (1, 2)]
        services.append({**summond.add(f"s{number}.example.test", image="echo", policy=name, addresses=both),
                         "second": both[1]})
    return services


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG) as daemon:
        yield daemon
        if "E2E_LOG" in os.environ:
            shutil.copy(daemon.log_path, os.environ["E2E_LOG"])


@pytest.fixture(scope="module")
def places(places):
    return list(places.values())


def put_to_rest(summond, services):
    """Nothing is awake."""
    for service in services:
        summond.call("POST", f"/v1/services/{service['name']}/retire", {"how": "destroy"})
    wait_for(lambda: {summond.state(service["name"]) for service in services} <= AT_REST,
             "all to rest")


class Killer:
    """Kills at random moments, and starts what it killed again."""

    def __init__(self, summond):
        self.summond = summond
        self.rng = random.Random(SEED)
        self.daemon_kills = []  # (when, until it served again)
        self.guest_kills = []   # when

    def kill_helper(self):
        victims = sorted(helpers())
        if not victims:
            return False
        try:
            os.kill(self.rng.choice(victims), signal.SIGKILL)
        except ProcessLookupError:
            return False
        self.guest_kills.append(time.time())
        return True

    def kill_daemon(self):
        at = time.time()
        self.summond.kill()
        # Who starts it anew does not wait for it: the next kill may come while it begins.
        self.summond.start(wait=False)
        self.daemon_kills.append(at)

    def run(self, count):
        done = 0
        while done < count:
            time.sleep(self.rng.choice([self.rng.uniform(0, 0.2), self.rng.uniform(0, 1.5)]))
            what = self.rng.random()
            if what > 0.7 and self.kill_helper():
                done += 1
            if what < 0.8:
                self.kill_daemon()
                done += 1
        wait_for(self.summond.is_serving, "summond to serve")


def query_all(summond, names, over, answers):
    """Asks for each name in turn, until it is over; a daemon that is not there says nothing."""
    while not over.wait(0.05):
        for name in names:
            try:
                answers.append(ask(name, summond.port, patience=2))
            except (OSError, AssertionError) as error:
                answers.append(type(error).__name__)


def served_again(log):
    """When a daemon began to serve, by its log."""
    return [datetime.fromisoformat(line.split()[0].replace("Z", "+00:00")).timestamp()
            for line in log.splitlines() if " serving " in line]


def judge(visits, killer, serving):
    """Clients of a guest that was killed may know of it, until a daemon has looked after it; all others
    were served."""
    troubles = [(at, AFTERMATH + next((then for then in serving if then > at), at))
                for at in killer.guest_kills]
    served, excused, again = 0, 0, 0
    for visit in visits:
        good = visit["error"] == 0 and visit["body"] == "are you there?"
        served += good
        excused += not good
        assert good or any(begin <= visit["ended"] and visit["begun"] <= end
                           for begin, end in troubles), visit
        again += bool(visit.get("retransmissions"))
    return served, excused, again


def visit_all(summond, services):
    for service in services:
        for key in KEYS:
            answer = Here().ask("tcp", service[key], 7)
            assert answer["error"] == 0, (service["name"], answer)
        assert set(summond.dig(service["name"]).addresses) == {service["ipv4"], service["second"]}


def besiege(summond, places, services):
    """Clients everywhere, of everything, while it is killed; what has become of them."""
    killer = Killer(summond)
    clients = [place.start("visits", 7, SEED, *[service[key] for service in services])
               for place in places for key in KEYS]
    over, answers = threading.Event(), []
    asker = threading.Thread(target=query_all, args=(
        summond, [service["name"] for service in services], over, answers))
    asker.start()
    try:
        killer.run(KILLS)
    finally:
        over.set()
        asker.join()
        for client in clients:
            client.stdin.close()
        visits = [visit for client in clients for visit in finish(client)]
    return killer, visits, answers


def test_kills(summond, places):
    print(f"E2E_SEED={SEED} E2E_KILLS={KILLS}")
    services = add_services(summond)
    visit_all(summond, services)  # so that what is made at first is there
    summond.remove_all()
    empty = settled(lambda: picture(summond, others=CABLES))
    summond.kill(signal.SIGTERM)
    stopped = settled(lambda: picture(summond, others=CABLES))
    summond.start()
    services = add_services(summond)
    put_to_rest(summond, services)
    resting = settled(lambda: ways(others=CABLES))

    killer, visits, answers = besiege(summond, places, services)
    served, excused, again = judge(visits, killer, served_again(summond.log()))
    addresses = [answer for answer in answers if answer[0].isdigit()]
    assert served and addresses, "nobody saw any of it"
    assert set(addresses) <= {service[key] for service in services for key in ("ipv4", "second")}
    print(f"{len(killer.daemon_kills)} kills of the daemon, {len(killer.guest_kills)} of helpers; "
          f"{served} visits served, {excused} met a guest's end, {again} sent something again; "
          f"{len(addresses)} of {len(answers)} queries answered")

    put_to_rest(summond, services)
    check_same(lambda: ways(others=CABLES), resting, "routes are not as before")
    visit_all(summond, services)
    summond.remove_all()
    check_same(lambda: picture(summond, others=CABLES), empty, "left over, or lost")
    summond.kill(signal.SIGTERM)
    check_same(lambda: picture(summond, others=CABLES), stopped, "left over, or lost, by the end")
    summond.start()


@pytest.mark.skipif(BACKEND != "vmm", reason="only summon-vmm knows whether its guest is ready")
@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_who_boots_while_the_daemon_is_killed_is_waited_for(summond, places, key):
    """Its clients are not let in before it listens: they would be refused."""
    name = "slow.example.test"
    summond.policy("slow", ready_timeout="30s", ring_tcp="80")
    summond.call("PUT", f"/v1/services/{name}/site", bytes(1024))  # a tar without a file
    site = summond.service(name)
    address = summond.add(name, image=site["image"], initrd=site["initrd"], cmdline="work=2000ms",
                          policy="slow")[key]
    clients = [place.start("tcp", address, 80) for place in places]
    summond.wait_state(name, "booting")
    summond.kill()
    summond.start()
    answers = [finish(client) for client in clients]
    assert [answer["error"] for answer in answers] == [0, 0, 0], answers
    assert "asleep -> booting (found-booting)" in summond.log()
    summond.remove_all()

# SPDX-License-Identifier: ISC
"""Storms of queries while everything else changes, on guests that misbehave in every way.

Whatever happens, a query is answered, nothing stays half-way, and nothing leaks. E2E_STORM=60 makes
it a soak of so many seconds, E2E_SEED chooses another run.
"""
import http.client
import os
import random
import select
import signal
import socket
import struct
import threading
import time

import pytest
from harness import HANG, Summond, wait_for

SECONDS = float(os.environ.get("E2E_STORM", "6"))
SEED = int(os.environ.get("E2E_SEED", "1"))
SETTLED = {"asleep", "prepared", "suspended", "awake"}
NOERROR, SERVFAIL, NXDOMAIN = 0, 2, 3

STARTS = ["cold", "prepared", "suspended"]
RETIRES = ["destroy", "shutdown", "suspend"]
GUESTS = [
    "",
    "sim.boot_delay=200ms sim.jitter=100",
    "sim.fail_start=25%",
    "sim.fail_resume=yes",
    "sim.fail_suspend=2",
    "sim.never_ready=yes",
    "sim.die_after=30ms",
    "sim.off_after=60ms sim.jitter=100",
    "sim.ignore_shutdown=yes",
    "sim.stop_delay=150ms sim.create_delay=80ms",
    "sim.fail_resume=25% sim.fail_suspend=25% sim.fail_start=25% sim.die_after=250ms",
]
CONFIG = 'backend "sim" { persist = yes }\nlog { level = error }'


def query(number, name):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + b"\0\1\0\1"


class Asker(threading.Thread):
    """Asks for names over UDP, a bounded number at a time, and keeps what was answered."""

    def __init__(self, summond, names, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.names = names
        self.address = ("127.0.0.1", summond.port)
        self.ending = threading.Event()
        self.open, self.codes, self.lost = {}, {}, []

    def receive(self, client):
        while select.select([client], [], [], 0.005)[0]:
            try:
                number, flags = struct.unpack("!2H", client.recv(4096)[:4])
            except ConnectionError:
                continue  # the port was closed for a moment: a daemon that is started again
            if self.open.pop(number, None):
                self.codes[flags & 15] = self.codes.get(flags & 15, 0) + 1

    def run(self):
        client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        client.connect(self.address)
        number = 0
        while not self.ending.is_set():
            while len(self.open) < 100:
                number = (number + 1) % 65536
                name = self.random.choice(self.names)
                self.open[number] = name
                try:
                    client.send(query(number, name))
                except ConnectionError:
                    pass
            self.receive(client)
        end = time.monotonic() + HANG
        while self.open and time.monotonic() < end:
            self.receive(client)
        self.lost = sorted(self.open.values())
        client.close()


class Nuisance(threading.Thread):
    """Garbage over UDP and TCP, and clients that vanish."""

    def __init__(self, summond, names, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.summond, self.names = summond, names
        self.ending = threading.Event()

    def packet(self):
        good = bytearray(query(self.random.randrange(65536), self.random.choice(self.names)))
        for _ in range(self.random.randrange(6)):
            good[self.random.randrange(len(good))] = self.random.randrange(256)
        return bytes(good[:self.random.randrange(len(good) + 1)])

    def garbage(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.sendto(self.packet(), ("127.0.0.1", self.summond.port))

    def over_tcp(self):
        with socket.create_connection(("127.0.0.1", self.summond.port), HANG) as client:
            for _ in range(self.random.randrange(5)):
                good = query(1, self.random.choice(self.names))
                text = self.random.choice([good, good, self.packet()])
                client.sendall(struct.pack("!H", len(text)) + text)
            if self.random.random() < 0.5:
                client.shutdown(socket.SHUT_WR)
                client.settimeout(0.01)
                client.recv(100)

    def leave_the_api(self):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(self.summond.socket))
            name = self.random.choice(self.names).encode()
            text = b"POST /v1/services/%s/wake HTTP/1.1\r\nHost: x\r\nContent-Length: 14\r\n\r\n" \
                   b'{"wait": true}' % name
            client.sendall(text[:self.random.randrange(len(text) + 1)])

    def run(self):
        while not self.ending.is_set():
            try:
                self.random.choice([self.garbage, self.over_tcp, self.leave_the_api])()
            except OSError:
                pass
            time.sleep(0.002)


class Churner(threading.Thread):
    """Puts, removes, wakes, retires, pins and changes policies, at random."""

    def __init__(self, summond, names, seed):
        super().__init__()
        self.random = random.Random(seed)
        self.summond, self.names = summond, names
        self.ending = threading.Event()
        self.refused, self.broken = {}, []

    def act(self):
        name = "/v1/services/" + self.random.choice(self.names)
        wake = {"wait": self.random.random() < 0.3}
        how = {"how": self.random.choice(RETIRES)}
        policy = f"/v1/policies/{self.random.choice(STARTS)}-{self.random.choice(RETIRES)}"
        return self.random.choice([
            ("PUT", name, define(self.random)), ("PUT", name, define(self.random)),
            ("PUT", name, {"initrd": "/no/such/file"}),
            ("DELETE", name, None), ("POST", name + "/wake", wake),
            ("POST", name + "/retire", how), ("POST", name + "/pin", None),
            ("POST", name + "/unpin", None), ("GET", name, None), ("GET", name + "/log", None),
            ("PATCH", policy, {"ttl": self.random.choice(["0", "1s"]),
                               "idle_after": self.random.choice(["100ms", "300ms", "1s"])}),
            ("DELETE", policy, None), ("GET", "/v1/services", None),
            ("GET", "/v1/summons?limit=5", None)])

    def run(self):
        while not self.ending.is_set():
            act = self.act()
            try:
                status, body = self.summond.call(*act, raw=True)
            except (OSError, http.client.HTTPException) as error:
                self.broken.append((act, repr(error)))
                time.sleep(0.05)
                continue
            if status >= 500 and status != 502:  # 502: the guest failed, as it was told to
                self.broken.append((act, status, body))


def define(rng):
    policy = f"{rng.choice(STARTS)}-{rng.choice(RETIRES)}"
    return {"policy": policy, "cmdline": rng.choice(GUESTS)}


def put_policies(summond):
    for start in STARTS:
        for retire in RETIRES:
            summond.policy(f"{start}-{retire}", start=start, retire=retire, hold="400ms",
                           ttl="0", min_life="0", idle_after="200ms", ready_timeout="500ms",
                           shutdown_grace="100ms", backoff_first="50ms", backoff_max="200ms")


def states(summond):
    return {s["name"]: s["state"] for s in summond.get("/v1/services")["services"]}


def calm(summond):
    """No demand and no pin any more: everything must come to rest and stay there."""
    for name in states(summond):
        summond.call("POST", f"/v1/services/{name}/unpin")
        status, body = summond.call("PUT", f"/v1/services/{name}", {"policy": "default"})
        assert status == 200, body
    wait_for(lambda: set(states(summond).values()) <= SETTLED or None,
             f"every state to be settled: {states(summond)}")
    for name in states(summond):
        summond.call("DELETE", f"/v1/services/{name}")
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "the last guests to end")


def descriptors(summond):
    return len(os.listdir(f"/proc/{summond.process.pid}/fd"))


def end_cleanly(summond):
    summond.process.send_signal(signal.SIGTERM)
    assert summond.process.wait(HANG) == 0, summond.log()
    for word in ("Sanitizer", "runtime error", "assert"):
        assert word not in summond.log()


def run_for(seconds, threads, meanwhile):
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            meanwhile()
            time.sleep(0.3)
    finally:
        for thread in threads:
            thread.ending.set()
        for thread in threads:
            thread.join(2 * HANG)
    assert not any(thread.is_alive() for thread in threads)


def begin(summond, count, seed):
    rng = random.Random(seed)
    put_policies(summond)
    names = [f"n{i}.example.test" for i in range(count)]
    for name in names:
        summond.add(name, **define(rng))
    return names


def test_storm_and_churn():
    with Summond(CONFIG, backend="sim", network=False).start() as summond:
        names = begin(summond, 150, SEED)
        calm(summond)
        summond.dig(names[0], "+tcp")  # with its first connection libuv opens one of its own
        before = descriptors(summond)
        askers = [Asker(summond, names, SEED + i) for i in range(3)]
        churners = [Churner(summond, names, SEED + 10 + i) for i in range(3)]
        nuisance = Nuisance(summond, names, SEED + 20)
        run_for(SECONDS, [*askers, *churners, nuisance],
                lambda: summond.process.send_signal(signal.SIGHUP))
        for asker in askers:
            assert not asker.lost
            assert set(asker.codes) <= {NOERROR, SERVFAIL, NXDOMAIN}
        for churner in churners:
            assert not churner.broken
        calm(summond)
        wait_for(lambda: descriptors(summond) <= before, "descriptors to be closed")
        end_cleanly(summond)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_restarts_in_a_storm(number):
    with Summond(CONFIG, backend="sim", network=False).start() as summond:
        names = begin(summond, 60, SEED)
        asker = Asker(summond, names, SEED)
        churners = [Churner(summond, names, SEED + i) for i in range(2)]
        nuisance = Nuisance(summond, names, SEED)

        def restart():
            summond.kill(number)
            assert summond.process.returncode == (-9 if number == signal.SIGKILL else 0)
            summond.start()
            asker.open.clear()  # what the one that is gone was asked

        run_for(SECONDS / 2, [asker, *churners, nuisance], restart)
        assert not asker.lost
        calm(summond)
        end_cleanly(summond)

# SPDX-License-Identifier: ISC
"""Many guests at once: a storm of queries for sleeping names, and as many awake as fit."""
import select
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from cases import TIERS, put_site
from clients import PATIENCE, ask, fetch, query, read_address
from report import summary

# Held as long as may be: an answer within it is proof that the guest is ready.
PATIENT = {"hold": "5s", "ready_timeout": "30s", "idle_after": "1h", "ttl": "0",
           "min_life": "0", **TIERS["cold"][0]}


def names_of(count):
    return [f"g{number}.example.test" for number in range(count)]


def register(summond, count):
    summond.policy("crowd", **PATIENT)
    for name in names_of(count):
        put_site(summond, name, "crowd")
    for name in names_of(count):
        summond.wait_state(name, "asleep")


def ask_all(names, port):
    """One query for each name, all sent at once: ({name: ms}, {name: address})."""
    packets = [query(name, number) for number, name in enumerate(names)]
    took, addresses = {}, {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        client.connect(("127.0.0.1", port))
        begin = time.perf_counter()
        for packet in packets:
            client.send(packet)
        while len(took) < len(names) and select.select([client], [], [], PATIENCE)[0]:
            answer = client.recv(4096)
            at = time.perf_counter()
            number = int.from_bytes(answer[:2], "big")
            took[names[number]] = (at - begin) * 1e3
            addresses[names[number]] = read_address(answer, packets[number])
    return took, addresses


def storm(summond, count, rounds):
    """All sleeping names asked at once, `rounds` times; the pages are fetched afterwards."""
    register(summond, count)
    samples, lost, retransmissions = [], 0, 0
    for _ in range(rounds):
        took, addresses = ask_all(names_of(count), summond.port)
        lost += count - len(took)
        samples += took.values()
        for address in addresses.values():
            retransmissions += fetch(address)[1]
        for name in names_of(count):
            summond.call("POST", f"/v1/services/{name}/retire", {"how": "destroy"})
        for name in names_of(count):
            summond.wait_state(name, "asleep")
        time.sleep(0.5)  # shells are there again
    return {"names": count, "rounds": rounds, "lost": lost, "retransmissions": retransmissions,
            "answer_ms": summary(samples), "samples_ms": samples}


def memory_available():
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    raise RuntimeError("/proc/meminfo says no MemAvailable")


def proportional_size(pid):
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"process {pid} has no Pss")


def density(summond, count):
    """`count` guests awake at once; each has served a page before they are weighed."""
    register(summond, count)
    before = memory_available()
    addresses = [ask(name, number, summond.port)[1]
                 for number, name in enumerate(names_of(count))]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(fetch, addresses))
    sizes = [proportional_size(pid) for pid in summond.monitors()]
    if len(sizes) != count:
        raise RuntimeError(f"{len(sizes)} of {count} guests are awake")
    mib = [size / (1 << 20) for size in sizes]
    return {"guests": count, "pss_mib": summary(mib), "pss_mib_all": round(sum(mib), 1),
            # The kernel's part of it too: virtual machines, taps, routes.
            "memory_mib_each": round((before - memory_available()) / count / (1 << 20), 3),
            "samples_mib": [round(size, 3) for size in mib]}

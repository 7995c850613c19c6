# SPDX-License-Identifier: ISC
"""Summons by packet: a client that knows the address already connects to it. From its SYN to the
connection and to the first byte of the page, for each case; the same for an address that a DNS answer
brought before the guest fell asleep by itself; and for a guest that is awake."""
import json
import socket
import struct
import time
from pathlib import Path

from cases import CASES, TIERS, put_site
from clients import PAGE, PATIENCE, REQUEST, TCP_INFO_RETRANSMISSIONS, ask
from report import percentile

DEFAULT = "cold,shell,snapshot,prepared,suspended,restored,process shell,process suspended"
IDLE = "100ms"  # of a guest that falls asleep by itself


def retransmissions(client):
    info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
    return struct.unpack_from("I", info, TCP_INFO_RETRANSMISSIONS)[0]


def visit(address):
    with socket.socket() as client:
        client.settimeout(PATIENCE)
        begin = time.perf_counter()
        client.connect((address, 80))
        connected = time.perf_counter()
        of_connect = retransmissions(client)
        client.sendall(REQUEST)
        data = client.recv(1)
        first_byte = time.perf_counter()
        of_all = retransmissions(client)
        while chunk := client.recv(65536):
            data += chunk
    if not data.endswith(PAGE):
        raise RuntimeError(f"not our page: {data[:200]}")
    return {"connected_ms": (connected - begin) * 1e3, "first_byte_ms": (first_byte - begin) * 1e3,
            "connect_retransmissions": of_connect, "retransmissions": of_all}


def register(summond, title, idle_after="1h"):
    case = CASES[title]
    name = title.replace(" ", "-") + ".example.test"
    policy, state = TIERS[case.tier]
    summond.policy(name, idle_after=idle_after, ttl="0", min_life="0", ring_tcp="80",
                   ring_rate="none", activity="traffic", **policy, **case.policy)
    put_site(summond, name, name, case.cmdline)
    return name, summond.service(name)["ipv4"], policy["retire"], state


def direct(summond, title, count, rests):
    """Retired after each visit; the first one warms caches and is left out."""
    name, address, retire, state = register(summond, title)
    samples = []
    for number in range(count + 1):
        rests(summond, name, state)
        sample = visit(address)
        samples += [sample] if number else []
        summond.call("POST", f"/v1/services/{name}/retire", {"how": retire})
    rests(summond, name, state)
    summond.call("DELETE", f"/v1/services/{name}")
    return samples


def cached(summond, title, count, rests):
    """The address comes of a query that woke the guest; it is used once that has fallen asleep."""
    name, _, _, state = register(summond, title, IDLE)
    samples = []
    for number in range(count + 1):
        rests(summond, name, state)
        address = ask(name, number, summond.port)[1]
        summond.wait_state(name, "awake")
        rests(summond, name, state)
        sample = visit(address)
        samples += [sample] if number else []
    summond.call("DELETE", f"/v1/services/{name}")
    return samples


def awake(summond, title, count, _):
    name, address, _, _ = register(summond, title)
    samples = [visit(address) for _ in range(count + 1)][1:]
    summond.call("DELETE", f"/v1/services/{name}")
    return samples


WAYS = {"": direct, " after DNS": cached}


def measure(options, report, daemon, rests, progress, attempt):
    """`daemon` starts one for a case, `rests` waits for a service to be asleep, `attempt` goes on where a
    case breaks: tests/bench/summon's."""
    for title in options.cases:
        attempt(report, title, measure_case, options, report, daemon, rests, progress, title)


def measure_case(options, report, daemon, rests, progress, title):
    with daemon(*CASES[title].daemon()) as summond:
        ways = {**WAYS, **({" awake": awake} if CASES[title].tier == "cold" else {})}
        for words, way in ways.items():
            progress(f"{title}{words}")
            report["samples"][title + words] = way(summond, title, options.count, rests)
            write(report, Path(options.out))


def summarise(samples):
    out = {"count": len(samples)}
    for key in ("connected_ms", "first_byte_ms"):
        values = [sample[key] for sample in samples]
        out[key] = {f"p{p}": round(percentile(values, p / 100), 3) for p in (50, 90, 99)}
    for key in ("connect_retransmissions", "retransmissions"):
        out[f"with_{key}"] = sum(sample[key] > 0 for sample in samples)
    return out


def write(report, out):
    report["cases"] = {title: summarise(case) for title, case in report["samples"].items() if case}
    new = out / "packets.json.new"
    new.write_text(json.dumps(report, indent=1) + "\n")
    new.replace(out / "packets.json")


def print_cases(report):
    print(f"{'milliseconds':<28}{'connected p50':>14}{'p90':>8}{'p99':>8}{'byte p50':>10}{'p90':>8}"
          f"{'p99':>8}   sent again: SYN, any")
    for title, case in report["cases"].items():
        cells = "".join(f"{case[key][p]:>{width}.2f}" for key, widths in (
            ("connected_ms", (14, 8, 8)), ("first_byte_ms", (10, 8, 8)))
            for p, width in zip(("p50", "p90", "p99"), widths))
        print(f"{title:<28}{cells}{case['with_connect_retransmissions']:>10} of {case['count']},"
              f"{case['with_retransmissions']:>3}")

#!/usr/bin/python3
# SPDX-License-Identifier: ISC
"""One client of a test, run on the host that it is to be on; prints what became of it as JSON.

usage: client.py tcp ADDRESS PORT | udp ADDRESS PORT COUNT | ping ADDRESS
       client.py soak PORT COUNT SEED MIN MAX ADDRESS...
       client.py visits PORT SEED ADDRESS...    until its standard input ends
"""
import json
import random
import socket
import struct
import sys
import threading
import time

HANG = 30


def retransmissions(sock):
    """tcpi_total_retrans, the 24th of the 32-bit fields (linux/tcp.h); SYNs count."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    return struct.unpack_from("=24I", info, 8)[23]


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp(address, port):
    begun = time.monotonic()
    with socket.socket(family(address)) as sock:
        # The kernel's own wait: a poll can miss the reason why there is no connection.
        limit = struct.pack("ll", HANG, 0)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        try:
            sock.connect((address, int(port)))
        except OSError as error:
            return {"error": error.errno, "text": str(error)}
        connected = time.monotonic()
        body = b""
        try:
            sock.sendall(b"are you there?")
            sock.shutdown(socket.SHUT_WR)
            while data := sock.recv(65536):
                body += data
        except OSError:
            pass  # what there is of an answer tells
        return {"error": 0, "retransmissions": retransmissions(sock), "body": body.decode(),
                "source": sock.getsockname()[0], "ms": round((connected - begun) * 1000, 3)}


def udp(address, port, count):
    with socket.socket(family(address), socket.SOCK_DGRAM) as sock:
        sock.connect((address, int(port)))
        answers = []
        for i in range(int(count)):
            sock.send(b"%d" % i)
        sock.settimeout(HANG)
        try:
            while len(answers) < int(count):
                answers.append(sock.recv(2048).decode())
            sock.settimeout(0.3)  # one that came twice would come now
            answers.append(sock.recv(2048).decode())
        except TimeoutError:
            pass
        except OSError as error:
            return {"error": error.errno, "answers": answers}
        return {"error": 0, "answers": answers}


def ping(address):
    six = ":" in address
    kind = socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP
    with socket.socket(family(address), socket.SOCK_RAW, kind) as sock:
        sock.settimeout(HANG)
        sock.connect((address, 0))
        packet = struct.pack("!BBHHH", 128 if six else 8, 0, 0, 0x77, 1) + b"are you there?!!"
        if not six:
            total = sum(struct.unpack(f"!{len(packet) // 2}H", packet))
            total = (total & 0xFFFF) + (total >> 16)
            packet = packet[:2] + struct.pack("!H", ~total & 0xFFFF) + packet[4:]
        sock.send(packet)
        while True:
            data = sock.recv(2048)[0 if six else 20:]
            if data[0] == (129 if six else 0):
                return {"error": 0, "answered": True}


def soak(port, count, seed, shortest, longest, *addresses):
    """COUNT connections to each address, after pauses between MIN and MAX seconds; what went wrong."""
    found = {"connections": 0, "retransmissions": 0, "stalls": 0, "wrong": [], "again": []}
    lock = threading.Lock()

    def visit(address):
        begun = time.monotonic()
        answer = tcp(address, port)
        with lock:
            found["connections"] += 1
            if answer.get("retransmissions", 0):
                found["retransmissions"] += answer["retransmissions"]
                found["again"].append([address, time.time(), answer["ms"]])
            # A client that was not let run for that long has not been in use.
            stalled = time.monotonic() - begun - answer.get("ms", 0) / 1000 > 0.15
            found["stalls"] += stalled
            if not stalled and answer.get("body") != "are you there?":
                found["wrong"].append([address, answer])

    def live(address):
        pauses = random.Random(f"{seed} {address}")
        for _ in range(int(count)):
            time.sleep(pauses.uniform(float(shortest), float(longest)))
            visit(address)

    threads = [threading.Thread(target=live, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def visits(port, seed, *addresses):
    """One connection after another to each address, with the times at which it began and ended."""
    over = threading.Event()
    found = []

    def live(address):
        pauses = random.Random(f"{seed} {address}")
        while not over.wait(pauses.uniform(0, 0.8)):
            begun = time.time()
            answer = tcp(address, port)
            found.append({"address": address, "begun": begun, "ended": time.time(), **answer})

    threads = [threading.Thread(target=live, args=(address,)) for address in addresses]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    return found


MODES = {"soak": soak, "tcp": tcp, "udp": udp, "ping": ping, "visits": visits}
print(json.dumps(MODES[sys.argv[1]](*sys.argv[2:])))

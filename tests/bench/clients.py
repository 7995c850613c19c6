# SPDX-License-Identifier: ISC
"""What asks: one DNS query, one page, one spawned process; all times in milliseconds."""
import os
import socket
import struct
import time

PAGE = b"<!doctype html><title>bench</title>" + b"x" * 989
REQUEST = b"GET / HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n"
PATIENCE = 20  # seconds; only ends what hangs

# struct tcp_info (linux/tcp.h): tcpi_total_retrans
TCP_INFO_RETRANSMISSIONS = 100


def query(name, number):
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack(">HHHHHH", number, 0x0100, 1, 0, 0, 0) + labels + b"\0" + b"\0\1\0\1"


def read_address(answer, packet):
    if answer[:2] != packet[:2] or answer[3] & 15 or answer[7] != 1:
        raise RuntimeError(f"no address: {answer.hex()}")
    return socket.inet_ntoa(answer[-4:])


def ask(name, number, port):
    """(milliseconds to the answer, the address, when the query was sent)."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", port))
        packet = query(name, number)
        begin = time.perf_counter()
        client.send(packet)
        answer = client.recv(4096)
        took = time.perf_counter() - begin
    return took * 1e3, read_address(answer, packet), begin


def fetch(address, port=80, page=PAGE):
    """(when the first byte of the page came, how many segments were sent again)."""
    with socket.create_connection((address, port), timeout=PATIENCE) as client:
        client.sendall(REQUEST)
        data = client.recv(1)
        at = time.perf_counter()
        info = client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 192)
        while chunk := client.recv(65536):
            data += chunk
    if not data.endswith(page):
        raise RuntimeError(f"not our page: {data[:200]}")
    return at, struct.unpack_from("I", info, TCP_INFO_RETRANSMISSIONS)[0]


# What summons are compared with, and the words of its command line.
PROCESSES = {"process": [], "process http": ["http"]}


def spawn(program, *words):
    """What a cold summon is compared with: milliseconds from spawning a static program to its word
    that it listens and, with the word `http`, to the first byte of its page."""
    ready, says = os.pipe()
    ends, input_end = os.pipe()
    begin = time.perf_counter()
    pid = os.posix_spawn(program, [program, *words], {}, file_actions=[
        (os.POSIX_SPAWN_DUP2, says, 1), (os.POSIX_SPAWN_DUP2, ends, 0)])
    os.close(says)
    port = os.read(ready, 2)
    sample = {"answer_ms": (time.perf_counter() - begin) * 1e3}
    if words:
        at, _ = fetch("127.0.0.1", struct.unpack(">H", port)[0], b"x" * 1024)
        sample["first_byte_ms"] = (at - begin) * 1e3
    for fd in (input_end, ends, ready):
        os.close(fd)
    if len(port) != 2 or os.waitpid(pid, 0)[1]:
        raise RuntimeError(f"{program} does not serve")
    return sample

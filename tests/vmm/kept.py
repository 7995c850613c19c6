#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests that are kept in a file and gone on with (summon-vmm/include/snapshot.h).
usage: as world.py says"""
import errno
import os
import socket
import struct
import time

import world as worlds
from monitor import (ASK, EXIT_SHUTDOWN, EXITED, FACTS, FAILED, HAS_RUN, IS_PAUSED, KEPT, PAUSE, PAUSED, READY, RESUME,
                     RESUMED, SHUTDOWN)
from world import KEY, checks, line, mac, tell

ETH_ALL = 3


def start_task(world, task, **more):
    return world.start_task(task, key=KEY, **more)


def go_on(world, path=None, words="guest.do=mine", key=KEY, **more):
    return world.shell().boot(path or world.file, words, key=key, kept=True, **more)


def check_goes_on(world):
    world.make_kept()
    began = time.time_ns()
    with go_on(world, words="guest.do=mine name=other", mac=b"\2\0\0\0\0\7") as guest:
        mine = tell(guest)
        assert "name=other" in guest.console and "ready after" not in guest.console, guest.console
        checks.expect((mine["lives"], mine["mac"]), ("0200000000000000", "020000000007"))
        now = int.from_bytes(bytes.fromhex(mine["time"]), "little")
        assert began <= now <= time.time_ns(), (began, now)


def check_unique(world):
    """Many begin from one file, each with a seed of its own; and one from what has gone on."""
    world.make_kept()
    seeds = set()
    for life in range(4):
        with go_on(world) as guest:
            seeds.add(tell(guest)["seed"])
            if life == 3:
                guest.keep(world.file)
                checks.expect(guest.wait_for(KEPT)[1], 0)
    with go_on(world) as guest:
        mine = tell(guest)
        seeds.add(mine["seed"])
        checks.expect(mine["lives"], "0300000000000000")
    checks.expect(len(seeds), 5)


def check_when_ready(world):
    """Asked for with the start, it is kept once it is ready, and runs on."""
    with start_task(world, "mine", keep=world.file) as guest:
        guest.wait_for(READY)
        checks.expect(guest.wait_for(KEPT)[1:3], (0, 0))
        guest.ask(ASK)
        assert not guest.wait_for(FACTS)[2] & IS_PAUSED
    with go_on(world) as guest:
        checks.expect(tell(guest)["lives"], "0200000000000000")


def check_pauses(world):
    with start_task(world, "button") as guest:
        guest.wait_for_text("ready after")
        guest.keep(world.file)
        guest.wait_for(KEPT)
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], IS_PAUSED | HAS_RUN)
        guest.ask(RESUME)
        guest.wait_for(RESUMED)
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1], EXIT_SHUTDOWN)
    with go_on(world, words="guest.do=button") as guest:
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1], EXIT_SHUTDOWN)


def check_at_once(world):
    """Asked for before the guest has run, it is kept once it waits."""
    with start_task(world, "button") as guest:
        guest.keep(world.file)
        checks.expect(guest.wait_for(KEPT)[1], 0)
    with go_on(world, words="guest.do=button") as guest:
        guest.keep(world.file + "-again")
        checks.expect(guest.wait_for(KEPT)[1], 0)


def check_too_early(world):
    with start_task(world, "mine", paused=True) as guest:
        guest.keep(world.file)
        _, code, _, why = guest.wait_for(KEPT)
        assert code == -errno.EINVAL and "has not run" in why, (code, why)


def check_busy(world):
    """A guest that does not wait is not kept; not to want it any more is possible."""
    with start_task(world, "spin") as guest:
        guest.wait_for_text("ready after")
        guest.keep(world.file)
        guest.ask(RESUME)
        guest.wait_for(RESUMED)
        assert KEPT not in guest.seen
        guest.wait_until_it_computes()
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        guest.keep(world.file)
        guest.wait_until_it_computes()
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], IS_PAUSED | HAS_RUN)
        assert KEPT not in guest.seen
        guest.wait_until_it_sleeps()


def check_in_the_middle(world):
    """A guest that was paused in the middle of something runs on until it waits, and no further."""
    with start_task(world, "linger") as guest:
        guest.wait_for_text("ready after")
        guest.wait_until_it_computes()
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        guest.keep(world.file)
        guest.wait_until_it_computes()
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(KEPT)[1], 0)
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], IS_PAUSED | HAS_RUN)


def check_full_disk(world):
    """The guest is as it was, and says why it could not be kept."""
    with start_task(world, "mine") as guest:
        guest.wait_for_text("ready after")
        guest.keep("/dev/full")
        _, code, _, why = guest.wait_for(KEPT)
        assert code == -errno.ENOSPC and "No space left" in why, (code, why)
        guest.ask(ASK)
        assert not guest.wait_for(FACTS)[2] & IS_PAUSED
        guest.keep(world.file)
        checks.expect(guest.wait_for(KEPT)[1], 0)


def check_refused(world, why, change, **more):
    world.make_kept()
    with open(world.file, "rb") as file:
        content = bytearray(file.read())
    bent = os.path.join(world.folder, "bent")
    with open(bent, "wb") as file:
        file.write(change(content))
    with go_on(world, bent, **more) as guest:
        _, code, _, text = guest.wait_for(FAILED)
        assert code < 0 and why in text, (code, text)
        checks.expect(guest.process.wait(checks.HANG), 0)


def flip(at):
    return lambda content: content[:at] + bytes([content[at] ^ 1]) + content[at + 1:]


def test_refusals(tap, world):
    def same(content):
        return content
    for name, why, change, more in (
            ("is cut in its head", "not all of one", lambda content: content[:1000], {}),
            ("is cut in its data", "the file was cut", lambda content: content[:-1], {}),
            ("has grown", "or has grown", lambda content: content + b"\0", {}),
            ("is empty", "no guest that was kept", lambda content: b"", {}),
            ("is something else", "no guest that was kept", flip(0), {}),
            ("is of another version", "another version of summon-vmm", flip(8), {}),
            ("is damaged", "its checksum is wrong", flip(200), {}),
            ("is made of something else", "something else", same, {"key": "made of that"}),
            ("has other memory", "bytes of memory, not", same, {"memory": 16 << 20})):
        tap.run(f"refuses a file that {name}", check_refused, world, why, change, **more)


# ---- our unikernels ----


class Ear:
    """What is said on the tap."""

    def __enter__(self):
        self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
        self.socket.bind(("guest0", 0))
        self.socket.settimeout(checks.HANG)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def wait_for(self, wanted):
        while True:
            frame = self.socket.recv(65536)
            found = wanted(frame)
            if found is not None:
                return found


def announced_ipv4(number):
    address = socket.inet_aton(f"10.77.0.{number}")
    return lambda f: True if (f[6:12] == mac(number) and f[12:14] == b"\x08\x06" and
                              f[28:32] == address) else None


def announced_ipv6(number):
    address = socket.inet_pton(socket.AF_INET6, f"fd77::{number}")
    return lambda f: True if (f[6:12] == mac(number) and f[12:14] == b"\x86\xdd" and f[54] == 136 and
                              f[62:78] == address) else None


def first_number(number):
    """The initial sequence number of the guest's SYN-ACK."""
    source = socket.inet_aton(f"10.77.0.{number}")
    return lambda f: struct.unpack("!I", f[38:42])[0] if (
        f[12:14] == b"\x08\x00" and f[23] == 6 and f[26:30] == source and f[47] == 0x12) else None


def check_site(world, archive):
    """One site, kept when it was ready, becomes two with addresses of their own."""
    website, numbers = world.app("website"), set()
    with world.shell().boot(website, line(5), tap="guest0", initrd=archive, key=KEY, keep=world.file) as guest:
        guest.wait_for(KEPT)
    for number in (6, 7):
        with Ear() as ear, go_on(world, words=line(number), tap="guest0", mac=mac(number)) as guest:
            ear.wait_for(announced_ipv4(number))
            ear.wait_for(announced_ipv6(number))
            guest.wait_for(READY)
            for address in (f"10.77.0.{number}", f"fd77::{number}"):
                with socket.create_connection((address, 80), timeout=checks.HANG) as client:
                    client.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
                    got = b""
                    while part := client.recv(65536):
                        got += part
                assert got.endswith(checks.BIG)
            numbers.add(ear.wait_for(first_number(number)))
    checks.expect(len(numbers), 2)


def check_connections(world):
    """Connections do not live on, and nobody is asked to wait for them; listeners do."""
    with world.shell().boot(world.app("echo"), line(5), tap="guest0", key=KEY, mac=mac(5)) as guest:
        guest.wait_for(READY)
        client = socket.create_connection(("10.77.0.5", 7), timeout=checks.HANG)
        client.sendall(b"before")
        checks.expect(client.recv(100), b"before")
        guest.keep(world.file)
        guest.wait_for(KEPT)
    with client, go_on(world, words=line(5), tap="guest0", mac=mac(5)) as guest:
        guest.wait_for(READY)
        try:
            client.sendall(b"after")
            checks.expect(client.recv(100), b"")
        except ConnectionResetError:
            pass
        checks.check_echo_tcp("10.77.0.5", 7)
        checks.check_echo_udp("fd77::5", 7)


def check_gives_back(world, archive):
    """A paused guest has less memory, and misses nothing."""
    website = world.app("website")
    with world.shell().boot(website, line(5), tap="guest0", initrd=archive) as guest:
        guest.wait_for(READY)
        checks.check_big("http://10.77.0.5:80")
        before = guest.resident_kib()
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        guest.ask(ASK)
        guest.wait_for(FACTS)  # by then it is done
        after = guest.resident_kib()
        assert after < before - 16, (before, after)
        guest.ask(RESUME)
        guest.wait_for(RESUMED)
        checks.check_big("http://10.77.0.5:80")
        checks.check_pages("http://[fd77::5]:80")


def test(tap, world):
    tap.run("a kept guest goes on", check_goes_on, world)
    tap.run("each is somebody else", check_unique, world)
    tap.run("one is kept once it is ready", check_when_ready, world)
    tap.run("one pauses, and runs on when asked", check_pauses, world)
    tap.run("one is kept though it has only begun", check_at_once, world)
    tap.run("one that has not run is not kept", check_too_early, world)
    tap.run("one that computes is not kept", check_busy, world)
    tap.run("one that was paused in the middle is kept", check_in_the_middle, world)
    tap.run("the disk is full", check_full_disk, world)
    test_refusals(tap, world)
    archive = checks.make_site(world.folder)
    tap.run("two sites from one", check_site, world, archive)
    tap.run("a paused guest gives memory back", check_gives_back, world, archive)
    tap.run("connections end, listeners stay", check_connections, world)


worlds.run(test)

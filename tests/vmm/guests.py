#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Guests under summon-vmm: our unikernels on a tap, and a guest that tries what it may not.
usage: as world.py says"""
import os
import re
import signal
import socket
import struct
import subprocess
import sys

import world as worlds
from monitor import (ASK, BOOT, BOOT_HEAD, CREATED, EXIT_DESTROYED, EXIT_SHUTDOWN, EXITED, FACTS, FAILED, HAS_RUN, HEAD,
                     IS_PAUSED, IS_READY, MEASURE, MEASURED, PAUSE, PAUSED, READY, RESUME, RESUMED, SHUTDOWN)
from wire import Wire
from world import checks, line

GUEST, GUEST6 = "10.77.0.5", "fd77::5"
LINE = line(5)

NO_NUMBER = "computes what is no number"
# What the test guest does by number -> what it must come to; in a process where that differs: there,
# a call does not leave by a write.
CRIMES = (
    ("writes the boot page", "page fault (vector 14, code 0x7)", None),
    ("writes the call page", "page fault (vector 14, code 0x7)", None),
    ("writes its own code", "page fault (vector 14, code 0x7)", None),
    ("runs its data", "page fault (vector 14, code 0x15)", None),
    ("reads its page tables", "page fault (vector 14, code 0x4)", None),
    ("reads a control register", "general protection fault (vector 13", None),
    ("writes to a port", "general protection fault (vector 13", None),
    ("makes a call that there is not", "a call that there is not", "page fault (vector 14, code 0x6)"),
    ("makes half a call", "a call that there is not", "page fault (vector 14, code 0x6)"),
    ("reads where calls are written", "a call that there is not", "page fault (vector 14, code 0x4)"),
    ("writes beyond its memory", "page fault (vector 14, code 0x6)", None),
    # Some hosts' KVM makes another exception of these.
    ("makes a system call", "(vector ", "invalid opcode (vector 6"),
    ("makes a system call of old", "(vector ", "general protection fault (vector 13, code 0x402)"),
    ("divides by zero", "divide error (vector 0", None),
    ("runs what is no instruction", "invalid opcode (vector 6", None),
    (NO_NUMBER, "SIMD floating-point error (vector 19", None),
    ("overflows its stack", "page fault (vector 14, code 0x6)", None),
    ("runs what is not mapped", "page fault (vector 14, code 0x14) at 0x40000000", None),
    ("traces itself", "debug exception (vector 1", None),
    ("returns from a call to nowhere", "cr2 0x40000000", None),
)


# With the exceptions of fenv.h on, in a process of its own.
COMPUTE = "import ctypes; ctypes.CDLL('libm.so.6').feenableexcept(1); float('inf') - float('inf')"


def raises_floating_point_errors():
    """Whether this processor does: QEMU's TCG, as of 7.2, makes no exceptions of SSE's."""
    return subprocess.run([sys.executable, "-c", COMPUTE], check=False).returncode == -signal.SIGFPE


def check_crime(world, number, why):
    with world.start_task(f"try-{number}") as guest:
        guest.expect_crash(why)
        assert "nobody minded" not in guest.console, guest.console


def check_crash(world):
    """A guest without a report of its own is reported on."""
    with world.start_task("crash") as guest:
        guest.expect_crash("page fault (vector 14, code 0x6)")
        assert "summon-vmm: rax " in guest.console, guest.console


def check_panic(world):
    """One with a report writes it, with the names of its functions."""
    with world.start_app("hello", f"{LINE} panic=1") as guest:
        guest.expect_crash("page fault (vector 14, code 0x6)")
        for text in ("summond: panic: page fault (vector 14, code 0x6)", ", cr2 0x8\n",
                     " crash_on_purpose+0x", " kernel_main_vmm+0x"):
            assert text in guest.console, guest.console


def check_spin(world):
    """A guest that never asks for anything can be paused, found, resumed and killed."""
    with world.start_task("spin") as guest:
        guest.wait_for_text("ready after")
        guest.wait_until_it_computes()
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        used = guest.cpu_seconds()
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], IS_PAUSED | HAS_RUN)
        guest.ask(RESUME)
        guest.wait_for(RESUMED)
        guest.wait_until_it_computes()
        assert guest.cpu_seconds() > used


def check_interrupted(world):
    """Wherever a guest is interrupted, it goes on from there."""
    with world.start_task("work") as guest:
        guest.wait_for_text("ready after")
        for number in range(2000):
            if number % 10 == 0:
                guest.ask(PAUSE)
                guest.ask(RESUME)
            guest.ask(ASK)
            guest.wait_for(FACTS)
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1:], (EXIT_SHUTDOWN, 0, ""))


def check_prepared(world):
    with world.start_task("ready", paused=True, service="a.example") as guest:
        guest.wait_for(CREATED)
        guest.ask(ASK)
        _, _, flags, text = guest.wait_for(FACTS)
        checks.expect((flags, text), (IS_PAUSED, "a.example\0\0"))
        checks.expect(guest.console, "")
        guest.ask(RESUME)
        guest.wait_for_text("ready after")


def check_shutdown(world):
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1], EXIT_SHUTDOWN)
    with world.start_task("ready", paused=True) as guest:
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1], EXIT_DESTROYED)


def check_wild_rings(world):
    """What it writes into a ring's counters is believed as far as it can be."""
    for task, why in (("rings-0", "ring claims"), ("rings-1", "ring claims"),
                      ("rings-4", "console claims")):
        with world.start_task(task, tap="guest0") as guest:
            guest.expect_crash(why)
            assert "nobody minded" not in guest.console, guest.console


def ask_figures(guest):
    guest.ask(MEASURE)
    return struct.unpack("<6Q", guest.wait_for(MEASURED)[3].encode("latin-1"))


def check_wild_frames(world):
    """Frames that are nowhere are lost, and nothing else happens."""
    with world.start_task("rings-5", tap="guest0") as guest:
        guest.wait_for_text("all are sent")
        _, _, frames_out, bytes_out, lost, _ = ask_figures(guest)
        checks.expect((frames_out, bytes_out, lost), (0, 0, 7))


def check_exit(world):
    with world.start_task("exit") as guest:
        guest.expect_crash("the guest ended with status 3")


def flood():
    """A tap whose link has just come up may still lose what it is sent: this is done again."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as everybody:
        everybody.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for _ in range(200):
            everybody.sendto(bytes(1000), ("10.78.255.255", 9))


def check_abuse(world, task, archive):
    """A guest that floods its ring, or never empties it, is kept in hand; its neighbour serves."""
    with world.start_task(task, tap="guest1") as guest, \
            world.start_app("website", LINE, initrd=archive) as other:
        other.wait_for(READY)
        guest.wait_until_it_computes(flood)
        checks.check_pages(f"http://{GUEST}")
        guest.ask(PAUSE)
        guest.wait_for(PAUSED)
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], IS_PAUSED | HAS_RUN)
        guest.wait_until_it_sleeps()


def check_take_over(world):
    """A guest in its monitor's process that writes its memory ends it, and no more."""
    with world.start_task("own-monitor") as guest:
        guest.wait_for_text("ready after")
        while guest.receive():
            pass
        checks.expect(guest.process.wait(checks.HANG), -signal.SIGSEGV)
        assert "nobody minded" not in guest.console, guest.console


def check_address_space(world):
    """In a process: no page is writable and executable, nothing lies below the boot page, and what the
    guest can run is its text and the call page."""
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        runs = []
        for line in guest.read_proc("maps").splitlines():
            start, end, rights = re.match(r"([0-9a-f]+)-([0-9a-f]+) (\S+)", line).groups()
            assert "wx" not in rights, line
            assert int(start, 16) >= 0x10000, line
            if int(start, 16) < 1 << 32 and "x" in rights:
                runs.append((int(start, 16), int(end, 16)))
        checks.expect([start for start, _ in runs], [0x11000, 0x100000])
        checks.expect(runs[0][1], 0x12000)


def check_privileges(world):
    """What a monitor has given up, as the kernel tells it."""
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        status = dict(line.split(":\t", 1) for line in guest.read_proc("status").splitlines())
        for name in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
            checks.expect(int(status[name], 16), 0)
        checks.expect((status["NoNewPrivs"], status["Seccomp"]), ("1", "2"))
        if os.geteuid() == 0 and guest.read_proc("uid_map").split()[2] == "4294967295":
            assert all(int(word) > 0x70000000 for word in
                       status["Uid"].split() + status["Gid"].split()), status
            checks.expect(status["Groups"].strip(), "")
        limits = guest.read_proc("limits")
        assert re.search(r"Max core file size +0 +0 ", limits), limits
        if world.mode == "process":
            assert re.search(rf"Max file size +{(32 << 20) + 0x4000} ", limits), limits


def check_second_connection(world):
    """A new connection replaces the old, and what comes is for the new one."""
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        old = guest.socket
        guest.connect()
        guest.ask(ASK)
        checks.expect(guest.wait_for(FACTS)[2], HAS_RUN)
        checks.expect(old.recv(100), b"")
        old.close()


def check_nonsense(world):
    """Whoever does not speak the protocol is cut off; the guest lives."""
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        guest.socket.send(b"?")
        checks.expect(guest.socket.recv(100), b"")
        guest.socket.close()
        guest.connect()
        guest.ask(99)
        guest.ask(ASK)
        guest.wait_for(FACTS)


def check_refused(world, why, image, **more):
    with world.shell().boot(image, **more) as guest:
        _, code, _, text = guest.wait_for(FAILED)
        assert code < 0 and why in text, (code, text)
        checks.expect(guest.process.wait(checks.HANG), 0)


def check_little_memory(world):
    with world.shell("1MiB") as guest:
        assert "from 4MiB to 3GiB" in guest.wait_for(FAILED)[3]
        checks.expect(guest.process.wait(checks.HANG), 1)


def check_unused_shell(world):
    """A shell does nothing but boot, and ends with its connection."""
    with world.shell() as shell:
        shell.ask(RESUME)
        shell.ask(ASK)
        shell.socket.close()
        checks.expect(shell.process.wait(checks.HANG), 0)


def check_cut_request(world):
    for text in (b"", BOOT_HEAD.pack(32 << 20, bytes(6), 0) + b"no\0end"):
        with world.shell() as shell:
            shell.socket.send(HEAD.pack(BOOT, 0, 0, 0) + text)
            assert "a request to boot that" in shell.wait_for(FAILED)[3]


def check_second_boot(world):
    with world.start_task("button") as guest:
        guest.wait_for_text("ready after")
        guest.boot(world.guest)
        guest.ask(SHUTDOWN)
        checks.expect(guest.wait_for(EXITED)[1], EXIT_SHUTDOWN)


def test_refusals(tap, world):
    large = os.path.join(world.folder, "large")
    with open(large, "wb") as file:
        file.truncate(4 << 20)
    for name, why, image, more in (
            ("an image that is none", "no executable for x86-64", sys.argv[0], {}),
            ("an image that is no file", "the image: ", "/", {}),
            ("an initrd that is too large", "larger than the guest's memory", world.guest,
             {"memory": 4 << 20, "initrd": large}),
            ("more memory than there is", "this monitor has 33554432", world.guest,
             {"memory": 64 << 20}),
            ("a long command line", "2047 bytes", world.guest, {"line": "x" * 2048}),
            ("a long name", "longer than 255 bytes", world.guest, {"service": "x" * 256})):
        tap.run(f"refuses {name}", check_refused, world, why, image, **more)
    tap.run("refuses too little memory", check_little_memory, world)
    tap.run("refuses a request that is cut", check_cut_request, world)
    tap.run("boots once", check_second_boot, world)
    tap.run("a shell that nobody uses ends", check_unused_shell, world)


def check_figures(guest):
    """Of the site's pages went in less than came out; and all that it has done left the guest."""
    figures = frames_in, bytes_in, frames_out, bytes_out, lost, exits = ask_figures(guest)
    assert frames_in * 14 <= bytes_in < bytes_out and len(checks.BIG) < bytes_out, figures
    assert 0 < frames_out and lost == 0 < exits, figures


def test_website(tap, world, archive):
    with world.start_app("website", LINE, initrd=archive) as guest:
        tap.run("website: is ready", guest.wait_for, READY)
        checks.check_web(tap, "website", GUEST, 80)
        tap.run("website: tells its figures", check_figures, guest)
        guest.wait_for_text("ready")
        tap.run("website: says so once", lambda: checks.expect(guest.console.count("ready"), 1))
        guest.ask(ASK)
        tap.run("website: tells its facts",
                lambda: checks.expect(guest.wait_for(FACTS)[2:], (HAS_RUN | IS_READY, "\0guest0\0")))
        guest.ask(SHUTDOWN)
        tap.run("website: powers off when asked",
                lambda: checks.expect(guest.wait_for(EXITED)[1], EXIT_SHUTDOWN))


def test_website_without_header(tap, world, archive):
    """A tap whose frames have no header: the guest does all itself."""
    with world.start_app("website", LINE, initrd=archive, header=False) as guest:
        guest.wait_for(READY)
        checks.check_web(tap, "website, no header", GUEST, 80)


def test_bad_wire(tap, world, archive):
    """Large frames are lost and overtaken, and what they carried arrives all the same."""
    with Wire("guest0") as wire:
        with world.start_app("website", initrd=archive, wire=wire.end.fileno()) as guest:
            guest.wait_for(READY)
            tap.run("a bad wire: a large file", checks.check_big, f"http://{GUEST}")
        with world.start_app("echo", wire=wire.end.fileno()) as guest:
            guest.wait_for(READY)
            tap.run("a bad wire: TCP both ways", checks.check_echo_tcp, GUEST6, 7)
        tap.run("a bad wire: is one", lambda: checks.expect(wire.harmed > 0, True))


def test_echo(tap, world):
    for header in (True, False):
        with world.start_app("echo", header=header) as guest:
            tap.run("echo: is ready", guest.wait_for, READY)
            for address in (GUEST, GUEST6):
                name = address if header else f"{address}, no header"
                tap.run(f"echo: TCP to {name}", checks.check_echo_tcp, address, 7)
                tap.run(f"echo: UDP to {name}", checks.check_echo_udp, address, 7)


def test(tap, world):
    worlds.ip("tuntap add guest1 mode tap vnet_hdr", "address add 10.78.0.1/16 dev guest1", "link set guest1 up")
    for number, (name, why, why_process) in enumerate(CRIMES):
        if name == NO_NUMBER and not raises_floating_point_errors():
            tap.skip(f"a guest that {name} ends", "the processor does not mind")
            continue
        tap.run(f"a guest that {name} ends", check_crime, world, number,
                world.mode == "process" and why_process or why)
    if world.mode == "process":
        tap.run("a guest that takes over its monitor ends", check_take_over, world)
        tap.run("nothing is writable and executable", check_address_space, world)
    tap.run("a guest with wild counters ends", check_wild_rings, world)
    tap.run("a guest with wild frames loses them", check_wild_frames, world)
    tap.run("a guest that exits has its status told", check_exit, world)
    tap.run("a monitor has no privileges", check_privileges, world)
    tap.run("a crash is reported", check_crash, world)
    tap.run("a guest's own report names its functions", check_panic, world)
    tap.run("a guest that spins is kept in hand", check_spin, world)
    tap.run("a guest that is interrupted goes on", check_interrupted, world)
    tap.run("a prepared guest waits", check_prepared, world)
    tap.run("shutdown", check_shutdown, world)
    tap.run("a second connection replaces the first", check_second_connection, world)
    tap.run("nonsense on the control socket", check_nonsense, world)
    test_refusals(tap, world)
    archive = checks.make_site(world.folder)
    tap.run("a guest that floods its ring", check_abuse, world, "rings-2", archive)
    tap.run("a guest that never empties its ring", check_abuse, world, "rings-3", archive)
    test_website(tap, world, archive)
    test_website_without_header(tap, world, archive)
    test_echo(tap, world)
    test_bad_wire(tap, world, archive)


worlds.run(test)

#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""The unikernel images under QEMU without hardware virtualisation, on a network of their own.
usage: boot.py FOLDER_OF_IMAGES"""
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tarfile
import tempfile
import time

import checks

QEMU = "qemu-system-x86_64"
HOST, GUEST = "10.77.0.1", "10.77.0.5"
HOST6, GUEST6 = "fd77::1", "fd77::5"
FAR, FAR6 = "192.0.2.1", "2001:db8::1"  # of the host, but not on the guest's network
STRANGER = "10.77.0.99"
LINE = f"ip={GUEST}/16 gw={HOST} ip6={GUEST6}/64 gw6={HOST6}"
MMIO, PCI = "virtio-net-device", "virtio-net-pci,romfile="

# where -> machine, device, further arguments, and whether it has a power button
MACHINES = {
    "microvm": ("microvm", MMIO, [], True),
    "microvm without ACPI": ("microvm,acpi=off", MMIO, [], False),
    "microvm with modern virtio": (
        "microvm,x-option-roms=off,ioapic2=off", MMIO,
        ["-global", "virtio-mmio.force-legacy=false"], True),
    "pc": ("pc", PCI, [], True),
    "pc with legacy virtio": ("pc", PCI + ",disable-modern=on", [], True),
    "pc with qboot": ("pc", PCI, ["-bios", "qboot.rom"], True),
    "q35": ("q35", PCI, ["-cpu", "max"], True),
}


class Guest:
    """A running machine; its console is a file, its monitor a socket."""

    def __init__(self, folder, image, line=LINE, machine="microvm", device=MMIO, more=(),
                 network=None, initrd=None, memory="32M"):
        self.console_path = os.path.join(folder, "console")
        self.monitor_path = os.path.join(folder, "monitor")
        for path in (self.console_path, self.monitor_path):
            if os.path.exists(path):
                os.unlink(path)
        network = network or "tap,ifname=guest0,script=no,downscript=no"
        command = [
            QEMU, "-M", machine, "-accel", "tcg", "-m", memory, "-nodefaults", "-no-user-config",
            "-no-reboot", "-display", "none", "-serial", f"file:{self.console_path}",
            "-monitor", f"unix:{self.monitor_path},server,nowait", "-kernel", image,
            "-append", line, "-netdev", f"{network},id=net", "-device", f"{device},netdev=net",
            *(["-initrd", initrd] if initrd else []), *more]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    def console(self):
        try:
            with open(self.console_path, encoding="utf-8", errors="replace") as console:
                return console.read()
        except FileNotFoundError:
            return ""

    def wait_for(self, pattern):
        end = time.monotonic() + checks.HANG
        while time.monotonic() < end:
            if found := re.search(pattern, self.console(), re.MULTILINE):
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} on the console: {self.console()!r}")

    def command(self, line):
        """Has the monitor do something, and waits until it is done."""
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(checks.HANG)
            monitor.connect(self.monitor_path)
            text = b""
            for prompts in (1, 2):
                while text.count(b"(qemu) ") < prompts:
                    text += monitor.recv(1000)
                if prompts == 1:
                    monitor.sendall(line.encode() + b"\n")

    def press_power_button(self):
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(checks.HANG)
            monitor.connect(self.monitor_path)
            monitor.recv(1000)
            monitor.sendall(b"system_powerdown\n")
            return self.process.wait(checks.HANG)


READY = r"^(?:.*)summond: ready after (\d+) us$"


def check_ping(address):
    """An ICMP echo of our own making: the machine may lack the program."""
    head = struct.pack("!BBHHH", 8, 0, 0, 0x5511, 1)
    data = b"summond" * 8
    words = struct.unpack("!32H", head + data)
    total = sum(words)
    total = (total & 0xffff) + (total >> 16)
    packet = struct.pack("!BBHHH", 8, 0, ~(total + (total >> 16)) & 0xffff, 0x5511, 1) + data
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as icmp:
        icmp.settimeout(checks.HANG)
        icmp.sendto(packet, (address, 0))
        while True:
            reply = icmp.recv(2000)[20:]
            if reply[0] == 0 and reply[4:6] == b"\x55\x11":
                checks.expect(reply[8:], data)
                return


def check_power_button(guest):
    checks.expect(guest.press_power_button(), 0)
    assert guest.console().endswith("summond: powering off as asked\n"), guest.console()


def check_one_ready_line(guest):
    checks.expect(guest.console().count("ready after"), 1)


# linux/tcp.h: what a socket that has not connected yet may be given as its state.
TCP_REPAIR, TCP_REPAIR_QUEUE, TCP_QUEUE_SEQ, TCP_SEND_QUEUE = 19, 20, 21, 2


def syn_retransmissions(client):
    """tcpi_total_retrans of tcp(7)'s struct tcp_info."""
    return struct.unpack_from("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104), 100)[0]


def check_burst(guest):
    """Many clients of an address that is new to the guest, at once: every one is answered at once.

    While the guest asks for the neighbour it has more than one answer to keep."""
    subprocess.run(["ip", "address", "add", f"{STRANGER}/32", "dev", "guest0"], check=True)
    clients = []
    guest.command("stop")
    for _ in range(10):
        client = socket.socket()
        client.bind((STRANGER, 0))
        client.setblocking(False)
        client.connect_ex((GUEST, 80))
        clients.append(client)
    guest.command("cont")
    for client in clients:
        client.settimeout(checks.HANG)
        client.sendall(b"GET / HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        checks.expect(syn_retransmissions(client), 0)
        client.close()
    subprocess.run(["ip", "address", "del", f"{STRANGER}/32", "dev", "guest0"], check=True)


def connect_with(address, source_port, first):
    """A client of the guest's web server from that port, whose SYN has the sequence number `first`."""
    client = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    client.settimeout(checks.HANG)
    end = time.monotonic() + checks.HANG
    while True:
        try:
            client.bind(("", source_port))
            break
        except OSError:  # until the guest has acknowledged the end of the one before
            assert time.monotonic() < end, "the port stays in use"
            time.sleep(0.01)
    for option, value in ((TCP_REPAIR, 1), (TCP_REPAIR_QUEUE, TCP_SEND_QUEUE),
                          (TCP_QUEUE_SEQ, first % (1 << 32)), (TCP_REPAIR, 0)):
        client.setsockopt(socket.IPPROTO_TCP, option, struct.pack("I", value))
    client.connect((address, 80))
    return client


def check_same_port(address):
    """A client whose connection waits out its time at the guest, which closed it first, comes again
    from the same port, with a number that is larger, in the window of before, or smaller."""
    first, port = 1 << 31, 40000
    for step in (0, 1 << 30, 1 << 30, 1000, -(1 << 30), -(1 << 30), 1 << 31):
        first += step
        with connect_with(address, port, first) as client:
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert checks.read_all(client).endswith(b"<h1>root</h1>\n"), step
            checks.expect((step, syn_retransmissions(client)), (step, 0))


def test_machine(tap, where, folder, images, archive):
    machine, device, more, has_button = MACHINES[where]
    with Guest(folder, os.path.join(images, "website.elf"), machine=machine, device=device,
               more=more, initrd=archive) as guest:
        tap.run(f"{where}: is ready", guest.wait_for, READY)
        checks.check_web(tap, where, GUEST, 80)
        tap.run(f"{where}: ping", check_ping, GUEST)
        tap.run(f"{where}: a burst of clients", check_burst, guest)
        tap.run(f"{where}: a client from the same port", check_same_port, GUEST)
        tap.run(f"{where}: the same with IPv6", check_same_port, GUEST6)
        tap.run(f"{where}: says ready once", check_one_ready_line, guest)
        if has_button:
            tap.run(f"{where}: powers off when asked", check_power_button, guest)


def test_echo(tap, folder, images):
    with Guest(folder, os.path.join(images, "echo.elf")) as guest:
        tap.run("echo: is ready", guest.wait_for, READY)
        for address in (GUEST, GUEST6):
            tap.run(f"echo: TCP to {address}", checks.check_echo_tcp, address, 7)
            tap.run(f"echo: UDP to {address}", checks.check_echo_udp, address, 7)
        tap.run("echo: through a router", checks.check_echo_udp, GUEST, 7, FAR)
        tap.run("echo: through an IPv6 router", checks.check_echo_udp, GUEST6, 7, FAR6)


def test_several(tap, folder, images):
    """Each of its addresses answers, and answers come from where the question went."""
    four = [f"10.77.1.{i}" for i in range(1, 5)]
    six = [f"fd77::1:{i}" for i in range(1, 5)]
    line = " ".join([*(f"ip={a}/16" for a in four), f"gw={HOST}", *(f"ip6={a}/64" for a in six), f"gw6={HOST6}"])
    with Guest(folder, os.path.join(images, "echo.elf"), line) as guest:
        tap.run("several addresses: is ready", guest.wait_for, READY)
        for address in [*reversed(four), *six]:
            tap.run(f"several addresses: TCP to {address}", checks.check_echo_tcp, address, 7)
            tap.run(f"several addresses: UDP to {address}", checks.check_echo_udp, address, 7)
        for address in four:
            tap.run(f"several addresses: ping to {address}", check_ping, address)
        tap.run("several addresses: through a router", checks.check_echo_udp, four[2], 7, FAR)
        tap.run("several addresses: through an IPv6 router", checks.check_echo_udp, six[2], 7, FAR6)


def check_ipv6_only(folder, images):
    """Of what it has not, a line may have the bare words."""
    with Guest(folder, os.path.join(images, "echo.elf"), f"ip= ip6= gw= ip6={GUEST6}/64 gw6=") as guest:
        guest.wait_for(READY)
        checks.check_echo_tcp(GUEST6, 7)


def check_panic(folder, images):
    """A crash tells where, and ends the machine as failed."""
    with Guest(folder, os.path.join(images, "hello.elf"), f"{LINE} panic=1",
               more=["-device", "isa-debug-exit"]) as guest:
        guest.wait_for(r"^summond: panic: page fault \(vector 14, code 0x2\).*, cr2 0x8$")
        guest.wait_for(r"^summond: panic:   0x[0-9a-f]+ crash_on_purpose\+0x")
        guest.wait_for(r"^summond: panic:   0x[0-9a-f]+ kernel_main_pvh\+0x")
        checks.expect(guest.process.wait(checks.HANG), 3)


def check_refused(folder, images, image, line, why):
    """What cannot work is said on the console, and ends the machine."""
    with Guest(folder, os.path.join(images, image), line) as guest:
        guest.wait_for(why)
        guest.process.wait(checks.HANG)


def check_dhcp(folder, images, archive):
    network = "user,hostfwd=tcp:127.0.0.1:8080-:80"
    with Guest(folder, os.path.join(images, "website.elf"), "name=web", network=network,
               initrd=archive) as guest:
        guest.wait_for(READY)
        checks.check_pages("http://127.0.0.1:8080")


def check_memory(folder, images, archive, memory, machine, device):
    with Guest(folder, os.path.join(images, "website.elf"), memory=memory, machine=machine,
               device=device, initrd=archive) as guest:
        guest.wait_for(READY)
        checks.check_big(f"http://{GUEST}")


def check_large_archive(folder, images):
    """As large as QEMU will place below the guest's devices."""
    path = os.path.join(folder, "large.bin")
    with open(path, "wb") as out:
        out.truncate(60 << 20)
        out.seek(-len(checks.BIG), os.SEEK_END)
        out.write(checks.BIG)
    archive = os.path.join(folder, "large.tar")
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(path, arcname="large.bin")
    with Guest(folder, os.path.join(images, "website.elf"), memory="128M",
               initrd=archive) as guest:
        guest.wait_for(READY)
        back = checks.curl(f"http://{GUEST}/large.bin")
        checks.expect(len(back), 60 << 20)
        assert back.endswith(checks.BIG), "the file has changed on its way"


def check_size(images, image):
    size = os.path.getsize(os.path.join(images, image))
    assert size <= 400 << 10, f"{image} has grown to {size} bytes"


def make_network():
    for command in ("tuntap add guest0 mode tap", f"address add {HOST}/16 dev guest0",
                    f"address add {HOST6}/64 dev guest0 nodad", f"address add {FAR} dev lo",
                    f"address add {FAR6} dev lo", "link set guest0 up"):
        subprocess.run(["ip", *command.split()], check=True)


def main():
    if not shutil.which(QEMU):
        print(f"1..0 # SKIP no {QEMU}")
        return
    checks.own_network()
    make_network()
    tap = checks.Tap()
    images = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        archive = checks.make_site(folder)
        for where in MACHINES:
            test_machine(tap, where, folder, images, archive)
        test_echo(tap, folder, images)
        test_several(tap, folder, images)
        tap.run("echo: IPv6 alone", check_ipv6_only, folder, images)
        tap.run("hello: panics with a backtrace", check_panic, folder, images)
        tap.run("website: no archive", check_refused, folder, images, "website.elf", LINE,
                "there is no initrd")
        tap.run("hello: a wrong address", check_refused, folder, images, "hello.elf",
                "ip=10.77.0.5/33", "panic: network: ip= is not an address")
        tap.run("hello: too many addresses", check_refused, folder, images, "hello.elf",
                " ".join(f"ip6=fd77::{i}/64" for i in range(1, 6)), "panic: network: ip6= comes more than four times")
        for image in ("hello.elf", "echo.elf", "website.elf"):
            tap.run(f"{image} is small", check_size, images, image)
        tap.run("website: a large archive", check_large_archive, folder, images)
        tap.run("website: address by DHCP", check_dhcp, folder, images, archive)
        for memory, machine, device in (("16M", "microvm", MMIO), ("4G", "microvm", MMIO),
                                        ("16M", "pc", PCI), ("4G", "q35", PCI)):
            tap.run(f"website: {memory} on {machine}", check_memory, folder, images, archive,
                    memory, machine, device)
    tap.finish()


main()

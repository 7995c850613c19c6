# SPDX-License-Identifier: ISC
"""Other hosts for a test: network namespaces with clients and guests in them, as children of ours."""
import contextlib
import ctypes
import fcntl
import json
import os
import select
import signal
import struct
import subprocess
import sys
import threading
import time

import pytest
from harness import BACKEND, BUILD, HANG, MODE, Summond, wait_for

CLIENT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "client.py")
CLONE_NEWNET = 0x40000000
TUNSETIFF, IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 0x400454CA, 2, 0x1000, 0x4000
VNET_HEADER = b"\0" * 10


def ip(*words, check=True):
    subprocess.run(["ip", *map(str, words)], check=check, stdout=subprocess.DEVNULL,
                   stderr=None if check else subprocess.DEVNULL)


def sysctl(path, value):
    with open(f"/proc/sys/net/{path}", "w", encoding="ascii") as file:
        file.write(str(value))


def no_probes(command):
    """No tail loss probes (RFC 8985), which send again what was not lost on a machine that is slow:
    what is then sent again, was."""
    subprocess.run([*command, "sh", "-c", "echo 0 > /proc/sys/net/ipv4/tcp_early_retrans"],
                   check=True)


class Here:
    """The host itself, as a client."""

    def __init__(self):
        no_probes([])

    def command(self, *words):
        return [str(word) for word in words]

    def start(self, *words):
        """A client (see client.py); finish() tells what became of it."""
        return subprocess.Popen(self.command("/usr/bin/python3", CLIENT, *words),
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, *words):
        return finish(self.start(*words))


def finish(process, limit=HANG):
    if process.stdin and process.stdin.closed:
        process.stdin = None
    text = process.communicate(timeout=limit)[0]
    assert process.returncode == 0, text
    return json.loads(text)


class Host(Here):
    """A host of its own, by a cable (veth) to a bridge or to this host."""

    def __init__(self, cable, addresses, bridge=None, gateways=()):
        self.cable = cable
        self.process = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        own = os.readlink("/proc/self/ns/net")
        wait_for(lambda: os.readlink(f"/proc/{self.process.pid}/ns/net") != own, "a namespace")
        ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns",
           self.process.pid)
        if bridge:
            sysctl(f"ipv6/conf/{cable}/disable_ipv6", 1)
            ip("link", "set", cable, "master", bridge)
        for gateway in () if bridge else gateways:
            ip("addr", "add", gateway, "dev", cable, *nodad(gateway))
        ip("link", "set", cable, "up")
        no_probes(self.command())
        self.ip("link", "set", "lo", "up")
        for address in addresses:
            self.ip("addr", "add", address, "dev", "eth0", *nodad(address))
        self.ip("link", "set", "eth0", "up")
        for gateway in gateways:
            self.ip("route", "add", "default", "via", gateway.split("/")[0], "dev", "eth0")

    def command(self, *words):
        return ["nsenter", f"--net=/proc/{self.process.pid}/ns/net", *map(str, words)]

    def ip(self, *words):
        subprocess.run(self.command("ip", *words), check=True)

    def close(self):
        ip("link", "del", self.cable, check=False)
        self.process.kill()
        self.process.wait()


@contextlib.contextmanager
def three_places():
    """Where clients are: on the host, behind it, and beside the guests on their bridge."""
    behind = Host("behind", ["192.168.50.2/24", "fd50::2/64"], gateways=["192.168.50.1/24", "fd50::1/64"])
    sysctl("ipv4/conf/behind/forwarding", 1)
    sysctl("ipv6/conf/all/forwarding", 1)
    beside = Host("beside", ["10.77.200.1/16", "fd77::200:1/64"], bridge="summon0")
    yield {"host": Here(), "forwarded": behind, "bridge": beside}
    behind.close()
    beside.close()


def require_monitor():
    """Skips where summon-vmm cannot run guests."""
    mode = [] if MODE == "auto" else [f"--mode={MODE}"]
    if subprocess.run([BUILD / "summon-vmm" / "summon-vmm", "--check", *mode],
                      stdout=subprocess.DEVNULL, check=False).returncode:
        pytest.skip(f"summon-vmm has no mode {MODE} here")


@contextlib.contextmanager
def summond_with_guests(config, backend=BACKEND, **options):
    """The daemon, where its backend can run guests; without it nothing of its network is left."""
    if backend == "vmm":
        require_monitor()
    with Summond(config, backend=backend, **options).start() as daemon:
        yield daemon
    ip("link", "del", "summon-bell", check=False)


def nodad(address):
    return ["nodad"] if ":" in address else []


def server(ready, listen_on, say):
    """Answers whoever connects to TCP port 80 and ends with `say`, and every datagram to UDP port 7 with
    itself; says on `ready` when it can, and never returns."""
    import selectors  # of a child only
    import socket
    selector = selectors.DefaultSelector()
    for address in listen_on:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        tcp = socket.socket(family)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, 80))
        tcp.listen(1000)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        udp.bind((address, 7))
        selector.register(tcp, selectors.EVENT_READ, "tcp")
        selector.register(udp, selectors.EVENT_READ, "udp")
    os.write(ready, b"+")
    os.close(ready)
    while True:
        for key, _ in selector.select():
            if key.data == "udp":
                data, source = key.fileobj.recvfrom(2048)
                key.fileobj.sendto(data, source)
            elif key.data == "tcp":
                connection, _ = key.fileobj.accept()
                selector.register(connection, selectors.EVENT_READ, "connection")
            elif not hear(key.fileobj):
                selector.unregister(key.fileobj)
                end(key.fileobj, say)


def hear(connection):
    """Whether the client goes on."""
    try:
        return connection.recv(65536)
    except OSError:
        return b""


def end(connection, say):
    try:
        connection.sendall(say)
    except OSError:
        pass  # the client has gone
    connection.close()


class SimGuest:
    """A real network stack for a guest of the sim backend: a child in a namespace of its own with
    the guest's MAC and addresses, and a thread that carries frames between that and the guest's tap.
    When it can serve, it sends a frame: its policy has ready=frame."""

    def __init__(self, tap, service, prefixes=("/16", "/64"), gateways=("10.77.0.1", "fd77::1"),
                 say=b"hello from a guest\n"):
        self.tap = open_tap(tap, vnet=True)
        own, theirs = os.pipe()
        self.child = os.fork()
        if self.child == 0:
            live(theirs, service, prefixes, gateways, say)
        os.close(theirs)
        assert os.read(own, 1) == b"+", "the guest's network stack"
        os.close(own)
        fd = open_tap_in(self.child)
        self.inner = fd
        # Its kernel learns in its own time that the cable is in, and drops what comes before.
        wait_for(lambda: "state UP" in subprocess.run(
            self.command("ip", "link", "show", "dev", "eth0"), capture_output=True, text=True,
            check=True).stdout, "the guest's link to be up")
        self.lag = 0  # seconds that a frame waits for the guest to run
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()
        mac = bytes.fromhex(service["mac"].replace(":", ""))
        os.write(self.tap, VNET_HEADER + b"\xff" * 6 + mac + b"\x88\xb5" + b"\0" * 46)

    def carry(self):
        """Each frame of one side to the other, with and without the virtio-net header."""
        while not self.ending.is_set():
            for fd in select.select([self.tap, self.inner], [], [], 0.2)[0]:
                try:
                    if fd == self.tap:
                        self.take()
                    else:
                        self.say(os.read(fd, 70000))
                except OSError:
                    if fd == self.tap:
                        return  # the tap is gone, as its guest is

    def take(self):
        time.sleep(self.lag)
        try:
            while frame := os.read(self.tap, 70000):
                os.write(self.inner, frame[len(VNET_HEADER):])
        except BlockingIOError:
            pass

    def say(self, frame):
        os.write(self.tap, VNET_HEADER + frame)

    def command(self, *words):
        return ["nsenter", f"--net=/proc/{self.child}/ns/net", *map(str, words)]

    start, ask = Here.start, Here.ask

    def close(self):
        self.ending.set()
        self.thread.join()
        os.kill(self.child, signal.SIGKILL)
        os.waitpid(self.child, 0)
        os.close(self.inner)
        os.close(self.tap)


def open_tap(name, vnet=False):
    fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if vnet else 0)
    fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    return fd


def in_namespace(path):
    """Moves this thread."""
    libc = ctypes.CDLL(None, use_errno=True)
    fd = os.open(path, os.O_RDONLY)
    if libc.setns(fd, CLONE_NEWNET) < 0:
        raise OSError(ctypes.get_errno(), "setns")
    os.close(fd)


def open_tap_in(pid):
    """The outer end of the child's eth0; a thread of its own goes there and ends."""
    found = []

    def work():
        in_namespace(f"/proc/{pid}/ns/net")
        found.append(open_tap("eth0"))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return found[0]


def live(ready, service, prefixes, gateways, say):
    """The child: makes its network and serves."""
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.unshare(CLONE_NEWNET) < 0:
            raise OSError(ctypes.get_errno(), "unshare")
        no_probes([])
        ip("tuntap", "add", "eth0", "mode", "tap")
        ip("link", "set", "lo", "up")
        ip("link", "set", "eth0", "address", service["mac"])
        listen_on = []
        for address in service["addresses"]:
            ip("addr", "add", address + prefixes[":" in address], "dev", "eth0", *nodad(address))
            listen_on.append(address)
        ip("link", "set", "eth0", "up")
        for key, gateway in zip(("ipv4", "ipv6"), gateways):
            if key in service:
                ip("route", "add", "default", "via", gateway, "dev", "eth0")
        server(ready, listen_on, say)
    finally:
        sys.stderr.flush()
        os._exit(1)


def adopt_sim_guest(summond, name):
    """Gives the guest that is starting its stack, as soon as its tap is known."""
    def tap():
        return [i["tap"] for i in summond.get("/v1/instances")["instances"]
                if i["service"] == name and i["tap"] and i["state"] != "stopping"]
    [found] = wait_for(tap, f"a tap of {name}")
    return SimGuest(found, summond.service(name))


def settle():
    time.sleep(0.05)

# SPDX-License-Identifier: ISC
"""A summon-vmm and the other end of its control socket (summon-vmm/include/protocol.h)."""
import fcntl
import os
import signal
import socket
import struct
import subprocess
import time

import checks

BOOT, RESUME, PAUSE, SHUTDOWN, ASK, KEEP, MEASURE, LOAD = range(1, 9)
CREATED, FAILED, RESUMED, PAUSED, READY, OUTPUT, EXITED, FACTS, KEPT, MEASURED, LOADED = range(64, 75)
EXIT_SHUTDOWN, EXIT_DESTROYED, EXIT_CRASHED = range(3)
IS_PAUSED, HAS_RUN, IS_READY = 1, 2, 4
BOOT_INITRD, BOOT_TAP, BOOT_PAUSED, BOOT_KEEP, BOOT_KEPT, BOOT_TAP_HEADER, BOOT_LOADED = 1, 2, 4, 8, 16, 32, 64
KEEP_PAUSE = 1
HEAD = struct.Struct("<IiQQ")
BOOT_HEAD = struct.Struct("<Q6sH")
TUNSETIFF, TUNSETOFFLOAD = 0x400454ca, 0x400454d0
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR = 2, 0x1000, 0x4000
TUN_F_CSUM, TUN_F_TSO4, TUN_F_TSO6 = 1, 2, 4


def open_tap(name, header):
    tap = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    flags = IFF_TAP | IFF_NO_PI | (IFF_VNET_HDR if header else 0)
    fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
    fcntl.ioctl(tap, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 if header else 0)
    return tap


class Monitor:
    def __init__(self, program, folder, memory="32MiB", mode="kvm"):
        self.path = os.path.join(folder, "control")
        self.console, self.seen = "", []
        if os.path.exists(self.path):
            os.unlink(self.path)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.path)
            listener.listen(4)
            self.connect()
            self.process = subprocess.Popen(
                [program, f"--memory={memory}", f"--mode={mode}"], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                close_fds=False, preexec_fn=lambda: self._give(listener.fileno()))

    @staticmethod
    def _give(number):
        if number == 3:
            os.set_inheritable(3, True)
        else:
            os.dup2(number, 3)

    def connect(self):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(checks.HANG)
        self.socket.connect(self.path)

    def boot(self, image, line="", initrd=None, tap=None, service="", paused=False,
             memory=32 << 20, mac=b"\2\0\0\0\0\5", header=True, key="", kept=False, keep=None,
             wire=None):
        """`header`: the tap has one, and with it offloads; `keep`: a path, for once it is ready;
        `wire`: a descriptor that is to stand for the tap; no `image`: the one that is loaded."""
        flags = (BOOT_INITRD if initrd else 0) | (BOOT_TAP if tap else 0)
        flags |= (BOOT_PAUSED if paused else 0) | (BOOT_TAP_HEADER if tap and header else 0)
        flags |= (BOOT_KEPT if kept else 0) | (BOOT_KEEP if keep else 0) | (0 if image else BOOT_LOADED)
        files = [os.open(path, os.O_RDONLY) for path in (image, initrd) if path]
        if tap:
            files += [os.dup(wire) if wire else open_tap(tap, header)]
        files += [os.open(keep, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)] if keep else []
        text = BOOT_HEAD.pack(memory, mac, flags)
        text += f"{service}\0{tap or ''}\0{line}\0{key}\0".encode()
        socket.send_fds(self.socket, [HEAD.pack(BOOT, 0, 0, 0) + text], files)
        for file in files:
            os.close(file)
        return self

    def load(self, image, memory=32 << 20, kept=False, key=""):
        with open(image, "rb") as file:
            text = BOOT_HEAD.pack(memory, bytes(6), BOOT_KEPT if kept else 0) + f"{key}\0".encode()
            socket.send_fds(self.socket, [HEAD.pack(LOAD, 0, 0, 0) + text], [file.fileno()])
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.socket.close()

    def ask(self, request):
        self.socket.send(HEAD.pack(request, 0, 0, 0))

    def keep(self, path, flags=KEEP_PAUSE):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        socket.send_fds(self.socket, [HEAD.pack(KEEP, 0, flags, 0)], [file])
        os.close(file)

    def receive(self):
        """(type, code, flags, text); text is the console's for OUTPUT. None at the end."""
        try:
            packet = self.socket.recv(65536)
        except ConnectionResetError:  # said once; what came before is still there
            packet = self.socket.recv(65536)
        if not packet:
            return None
        kind, code, flags, _ = HEAD.unpack_from(packet)
        text = packet[HEAD.size:].decode("latin-1" if kind == MEASURED else "utf-8", errors="replace")
        if kind == OUTPUT:
            self.console += text
        self.seen.append(kind)
        return kind, code, flags, text

    def wait_for(self, kind):
        while message := self.receive():
            if message[0] == kind:
                return message
        raise AssertionError(f"no message {kind}: {self.seen}, console {self.console!r}")

    def wait_for_text(self, text):
        while text not in self.console:
            assert self.receive(), f"no {text!r} on the console: {self.console!r}"

    def expect_crash(self, why):
        _, code, _, text = self.wait_for(EXITED)
        checks.expect(code, EXIT_CRASHED)
        assert why in text, f"{why!r} is not in {text!r}"
        checks.expect(self.process.wait(checks.HANG), 0)

    def read_proc(self, name):
        with open(f"/proc/{self.process.pid}/{name}", encoding="ascii") as file:
            return file.read()

    def cpu_seconds(self):
        fields = self.read_proc("stat").rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) for line in status if line.startswith("RssAnon"))

    def wait_until_it_computes(self, meanwhile=lambda: None):
        begin, end = self.cpu_seconds(), time.monotonic() + checks.HANG
        while self.cpu_seconds() < begin + 0.05:
            assert time.monotonic() < end, "the guest does not run"
            meanwhile()
            time.sleep(0.01)

    def wait_until_it_sleeps(self):
        """Which whoever computes never does."""
        end = time.monotonic() + checks.HANG
        while self.read_proc("stat").rsplit(")", 1)[1].split()[0] != "S":
            assert time.monotonic() < end, "the guest does not stop"
            time.sleep(0.01)

    def kill(self):
        self.process.send_signal(signal.SIGKILL)

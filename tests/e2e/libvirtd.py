# SPDX-License-Identifier: ISC
"""A libvirtd of a test's own: its folders are bound to where it looks for them, in a mount namespace that
ends with it and its guests."""
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
from pathlib import Path

from harness import wait_for

PROGRAM = "/usr/sbin/libvirtd"
PR_SET_CHILD_SUBREAPER = 36
QEMU_CONF = """user = "root"
group = "root"
dynamic_ownership = 0
remember_owner = 0
security_driver = "none"
cgroup_controllers = []
namespaces = []
stdio_handler = "file"
seccomp_sandbox = 0
max_core = 0
"""
# Of its folders, where it looks for them, and what is hidden below tmpfs so that nothing is left there.
PLACES = [("etc", "/etc/libvirt", None), ("run", "/run/libvirt", "/run"),
          ("lib", "/var/lib/libvirt", "/var/lib"), ("cache", "/var/cache/libvirt", "/var/cache"),
          ("log", "/var/log/libvirt", "/var/log")]


def is_installed():
    return os.access(PROGRAM, os.X_OK)


class Libvirtd:
    def __init__(self, folder):
        self.folder = Path(folder)
        self.socket = self.folder / "sock/libvirt-sock"
        for name in ("etc", "run", "lib", "cache", "log", "sock"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "no-kvm").touch()
        (self.folder / "etc/qemu.conf").write_text(QEMU_CONF)
        (self.folder / "etc/libvirtd.conf").write_text(
            f'unix_sock_dir = "{self.folder}/sock"\nauth_unix_rw = "none"\n')
        self.reapers = []

    @property
    def uri(self):
        return f"qemu+unix:///system?socket={self.socket}"

    def script(self):
        """A KVM that is there and does not work would keep it busy for long."""
        lines = ["set -e", "mount --make-rprivate /"]
        for own, place, around in PLACES:
            lines += [f"mount -t tmpfs tmpfs {around}"] if around else []
            lines += [f"mkdir -p {place}", f"mount --bind {self.folder}/{own} {place}"]
        lines += [f"[ ! -e /dev/kvm ] || mount --bind {self.folder}/no-kvm /dev/kvm",
                  f"exec {PROGRAM} -f {self.folder}/etc/libvirtd.conf -p {self.folder}/pid"]
        return "\n".join(lines)

    def start(self):
        """Its dead QEMUs come to the nearest subreaper, and it waits until they are reaped."""
        child = os.fork()
        if child == 0:
            try:
                ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
                with open(self.folder / "output", "ab") as output:
                    subprocess.Popen(["setsid", "unshare", "--mount", "sh", "-c", self.script()],
                                     stdin=subprocess.DEVNULL, stdout=output, stderr=output)
                while True:
                    os.wait()
            finally:
                os._exit(0)
        self.reapers.append(child)
        wait_for(self.answers, f"libvirtd to answer; {self.folder}/output tells more")
        return self

    def answers(self):
        with socket.socket(socket.AF_UNIX) as client:
            return client.connect_ex(str(self.socket)) == 0

    def pid(self):
        return int((self.folder / "pid").read_text())

    def kill(self):
        pid = self.pid()
        with contextlib.suppress(ProcessLookupError):  # it may have ended by itself
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "libvirtd to be gone")

    def stop(self):
        """Its reapers end with the last of what they started."""
        self.kill()
        for reaper in self.reapers:
            os.waitpid(reaper, 0)

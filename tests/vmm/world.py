# SPDX-License-Identifier: ISC
"""What the programs of this folder share: where their guests are from, and the tap that these are on.
usage of each: PROGRAM.py SUMMON-VMM TEST-GUEST FOLDER_OF_IMAGES MODE

MODE is what runs the guests: kvm or process."""
import os
import re
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "guest"))
import checks  # noqa: E402
from monitor import KEPT, Monitor  # noqa: E402

HOST, HOST6 = "10.77.0.1", "fd77::1"
KEY = "made of this"  # what a guest that is kept is known by


def line(number):
    """The addresses of a guest, for its command line."""
    return f"ip=10.77.0.{number}/16 gw={HOST} ip6=fd77::{number}/64 gw6={HOST6}"


def mac(number):
    return bytes([2, 0, 0, 0, 0, number])


def tell(guest):
    """What the guest "mine" says that is its own."""
    guest.wait_for_text("guest.do=")
    return dict(re.findall(r"^(\w+) ([0-9a-f]+)$", guest.console, re.M))


class World:
    def __init__(self, program, guest, images, mode, folder):
        self.program, self.guest, self.images, self.folder = program, guest, images, folder
        self.mode = mode
        self.file = os.path.join(folder, "kept")

    def shell(self, memory="32MiB"):
        return Monitor(self.program, self.folder, memory, self.mode)

    def app(self, name):
        return f"{self.images}/{name}.elf"

    def start_task(self, task, **more):
        return self.shell().boot(self.guest, f"guest.do={task}", **more)

    def make_kept(self):
        """The file is a guest that is ready."""
        with self.start_task("mine", key=KEY) as guest:
            guest.wait_for_text("ready after")
            guest.keep(self.file)
            checks.expect(guest.wait_for(KEPT)[1], 0)

    def start_app(self, name, words=line(5), **more):
        return self.shell().boot(self.app(name), words, tap="guest0", **more)


def ip(*commands):
    for command in commands:
        subprocess.run(["ip", *command.split()], check=True)


def run(test):
    """Calls test(tap, world) in a network of its own, where the mode works."""
    program, guest, images = map(os.path.abspath, sys.argv[1:4])
    mode = sys.argv[4]
    able = subprocess.run([program, "--check", f"--mode={mode}"], stdout=subprocess.PIPE, text=True, check=False)
    if able.returncode:
        print(f"1..0 # SKIP {able.stdout.strip()}")
        return
    checks.own_network()
    ip("tuntap add guest0 mode tap vnet_hdr", f"address add {HOST}/16 dev guest0",
       f"address add {HOST6}/64 dev guest0 nodad", "link set guest0 up")
    tap = checks.Tap()
    with tempfile.TemporaryDirectory() as folder:
        test(tap, World(program, guest, images, mode, folder))
    tap.finish()

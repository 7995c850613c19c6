# SPDX-License-Identifier: ISC
"""What there is of a daemon in this network namespace and in its folders, for a comparison of before and
after: whatever is there once more afterwards has leaked."""
import collections
import os
import re
import shutil
import subprocess
import time
from pathlib import Path

KERNEL = [["ip", "-4", "route", "show", "table", "all"], ["ip", "-6", "route", "show", "table", "all"],
          ["ip", "rule"], ["ip", "-6", "rule"], ["ip", "-o", "address"],
          ["ip", "neigh", "show", "nud", "permanent"], ["ip", "-4", "neigh", "show", "proxy"],
          ["ip", "-6", "neigh", "show", "proxy"]]
SYSCTLS = ("ipv4/conf", "ipv6/conf", "ipv4/neigh", "ipv6/neigh")
HELPERS = ("summon-vmm", "qemu-system-")


def lines_of(*words):
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()


def links(tap):
    """Devices with their kind, their bridge and whether they are up; a tap's MAC is anybody's."""
    for line in lines_of("ip", "-o", "-d", "link"):
        name, bridge = line.split()[1].split("@")[0].rstrip(":"), re.search(r"master (\S+)", line)
        kind = re.search(r"\b(bridge|tun type \w+|veth|loopback)\b", line)
        yield (f"{plain(name, tap)} {kind and kind.group()} "
               f"{bridge and bridge.group(1)} up={'UP' in line.split('<')[1].split('>')[0].split(',')}")


def forwarding(bridge):
    """Ports' own entries; those that were learned grow old, but never outlive the port."""
    ports = {line.split()[1].split("@")[0].rstrip(":") for line in lines_of("ip", "-o", "link")}
    for line in lines_of("bridge", "fdb", "show", "br", bridge):
        device = line.split()[2]
        if device not in ports:
            yield f"fdb entry without a port: {line}"


def sysctls(devices):
    for folder in SYSCTLS:
        for device in devices:
            for path in sorted(Path("/proc/sys/net", folder, device).glob("*")):
                try:
                    yield f"{folder}/{device}/{path.name}={path.read_text().strip()}"
                except OSError:
                    pass  # write-only, as stable_secret that is not set


def processes():
    """(pid, name) of those in this namespace."""
    here = os.readlink("/proc/self/ns/net")
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if os.readlink(entry / "ns/net") == here:
                yield int(entry.name), (entry / "comm").read_text().strip()
        except OSError:
            pass  # it has ended


def helpers():
    """The pids of the processes that run guests, or are to."""
    return [pid for pid, name in processes() if name.startswith(HELPERS)]


def files(folder):
    """Not what SQLite keeps beside its database while that is open; nor templates, which are a cache
    with a bound of its own."""
    for path in sorted(Path(folder).rglob("*")):
        if not path.is_dir() and not path.name.startswith("summond.db-") \
                and path.parent.name != "templates":
            yield re.sub(r"\d+", "#", str(path.relative_to(folder)))


def plain(line, tap):
    """Without numbers that go on: of taps, and of devices in lists."""
    return re.sub(rf"\b{tap}\d+\b", "TAP", re.sub(r"^\d+: ", "", line)).strip()


def ways(tap="sm", others=()):
    """Routes, addresses and neighbours, but for what is of the `others`' devices."""
    return collections.Counter(
        f"{command[1]} {command[-1]}: {plain(line, tap)}"
        for command in KERNEL for line in lines_of(*command)
        if not any(re.search(rf"\b{other}\b", line) for other in others))


def picture(summond, tap="sm", bridge="summon0", bell="summon-bell", others=()):
    """A multiset of lines. Taps, shells and generations are numbered on: how many there are counts."""
    found = list(links(tap)) + list(forwarding(bridge))
    if shutil.which("nft"):
        found += lines_of("nft", "list", "ruleset")
    found += sysctls(["all", "default", bridge, bell])
    found += [f"process {name}" for _, name in processes() if name.startswith((*HELPERS, "summond"))]
    found += [f"file {name}" for folder in ("state", "run") for name in files(summond.folder / folder)]
    return collections.Counter(found) + ways(tap, others)


def difference(before, after):
    return [f"- {line}" for line in (before - after).elements()] + [
        f"+ {line}" for line in (after - before).elements()]


def check_same(take, before, what, limit=30):
    """What is done behind (spare taps, shells) may still be under way for a while."""
    end = time.monotonic() + limit
    while found := difference(before, take()):
        assert time.monotonic() < end, f"{what}:\n" + "\n".join(found)
        time.sleep(0.2)


def settled(take):
    """Once nothing changes any more."""
    last, found = None, take()
    while found != last:
        time.sleep(1)
        last, found = found, take()
    return found

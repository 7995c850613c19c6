#!/usr/bin/env python3
# SPDX-License-Identifier: ISC
"""Shells that have loaded what a guest begins with (CONTROL_LOAD), and guests that begin with something else.
usage: as world.py says"""
import errno
import os

import world as worlds
from monitor import CREATED, EXITED, FAILED, LOADED, READY
from world import KEY, checks, line, mac, tell


def loaded(world, image, code=0, **more):
    shell = world.shell().load(image, **more)
    _, said, _, why = shell.wait_for(LOADED)
    checks.expect(said, code)
    assert bool(why) == bool(code), why
    return shell


def check_begins(world, archive):
    with loaded(world, world.app("website")) as shell:
        shell.boot(None, line(5), tap="guest0", initrd=archive)
        shell.wait_for(READY)
        checks.check_big("http://10.77.0.5")


def check_rights(world):
    """It has no more rights to its memory than any other guest."""
    for number, why in ((0, "page fault"), (1, "page fault"), (2, "page fault"), (3, "page fault"), (4, "page fault"),
                        (10, "page fault"), (16, "page fault")):
        with loaded(world, world.guest) as shell:
            shell.boot(None, f"guest.do=try-{number}").expect_crash(why)


def check_paused(world):
    with loaded(world, world.guest) as shell:
        shell.boot(None, "guest.do=ready", paused=True)
        shell.wait_for(CREATED)
        checks.expect(shell.console, "")


def check_kept(world):
    """Each that begins from it is somebody else."""
    world.make_kept()
    seeds = set()
    for number in (6, 7):
        with loaded(world, world.file, kept=True, key=KEY) as shell:
            shell.boot(None, "guest.do=mine", mac=mac(number), kept=True, key=KEY)
            mine = tell(shell)
            checks.expect((mine["lives"], mine["mac"]), ("0200000000000000", f"02000000000{number}"))
            seeds.add(mine["seed"])
    checks.expect(len(seeds), 2)


def is_in_memory(process, wanted):
    with open(f"/proc/{process.pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{process.pid}/mem", "rb", buffering=0) as memory:
        for area in maps:
            start, end = (int(at, 16) for at in area.split()[0].split("-"))
            if area.split()[1].startswith("rw") and end - start <= 64 << 20:
                memory.seek(start)
                if wanted in memory.read(end - start):
                    return True
    return False


def check_forgets(world):
    """Nothing of what was loaded is left where the guest is another one."""
    with open(world.app("website"), "rb") as file:
        words = file.read()[0x8000:0x8040]
    with loaded(world, world.app("website")) as shell:
        checks.expect(is_in_memory(shell.process, words), True)
        shell.boot(world.guest, "guest.do=ready")
        shell.wait_for_text("ready after")
        checks.expect(is_in_memory(shell.process, words), False)


def check_other(world, archive):
    """A guest of another image, of other memory, and one that was kept begin as from any other shell."""
    for begin in (lambda shell: shell.boot(world.app("website"), line(5), tap="guest0", initrd=archive),
                  lambda shell: shell.boot(world.app("echo"), line(5), tap="guest0", memory=31 << 20)):
        with loaded(world, world.guest, memory=24 << 20) as shell:
            begin(shell)
            shell.wait_for(READY)
    world.make_kept()
    with loaded(world, world.app("website")) as shell:
        shell.boot(world.file, "guest.do=mine", kept=True, key=KEY)
        shell.wait_for_text("guest.do=")
    for number in (4, 10):
        with loaded(world, world.app("website")) as shell:
            shell.boot(world.guest, f"guest.do=try-{number}").expect_crash("page fault")


def check_not_loaded(world):
    """What is no image, or made of something else, is not loaded; the shell serves as before."""
    bad = os.path.join(world.folder, "bad")
    with open(world.guest, "rb") as file:
        cut = file.read()[:5000]
    with open(bad, "wb") as file:
        file.write(cut)
    world.make_kept()
    for path, code, more in ((bad, -errno.EINVAL, {}), (os.devnull, -errno.EINVAL, {}),
                             (world.guest, -errno.EINVAL, {"memory": 33 << 20}),
                             (world.guest, -errno.EINVAL, {"memory": 5000}),
                             (world.file, -errno.EINVAL, {"kept": True, "key": "made of that"})):
        with loaded(world, path, code, **more) as shell:
            shell.boot(world.guest, "guest.do=ready")
            shell.wait_for_text("ready after")


def check_refused(world):
    """To begin with what was not loaded is refused."""
    world.make_kept()
    with world.shell().boot(None, "guest.do=ready") as shell:
        assert shell.wait_for(FAILED)[1] < 0
    for more in ({"memory": 16 << 20}, {"kept": True, "key": KEY}):
        with loaded(world, world.guest) as shell:
            shell.boot(None, "guest.do=ready", **more)
            assert shell.wait_for(FAILED)[1] < 0


def check_once(world):
    """A shell loads once, and a guest nothing."""
    with loaded(world, world.guest) as shell:
        shell.load(world.guest)
        checks.expect(shell.wait_for(LOADED)[1], -errno.EALREADY)
        shell.boot(None, "guest.do=button")
        shell.wait_for_text("ready after")
        shell.load(world.guest)
        checks.expect(shell.wait_for(LOADED)[1], -errno.EALREADY)
        assert EXITED not in shell.seen


def test(tap, world):
    archive = checks.make_site(world.folder)
    tap.run("a guest begins with what is loaded", check_begins, world, archive)
    tap.run("it has the rights of any other", check_rights, world)
    tap.run("it waits where it is to", check_paused, world)
    tap.run("guests begin from one that was kept", check_kept, world)
    tap.run("what is not wanted is forgotten", check_forgets, world)
    tap.run("guests begin with something else", check_other, world, archive)
    tap.run("what cannot be loaded is not", check_not_loaded, world)
    tap.run("what is not loaded is refused", check_refused, world)
    tap.run("it is loaded once", check_once, world)


worlds.run(test)

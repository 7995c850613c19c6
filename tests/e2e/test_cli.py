# SPDX-License-Identifier: ISC
"""summonctl against a real daemon, on the sim backend: what a person types, and what comes back."""
import json
import signal
import subprocess

import pytest
from harness import HANG, SUMMONCTL, Summond, wait_for

NAME = "www.example.test"
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with Summond(backend="sim", network=False).start() as daemon:
        yield daemon


def test_the_life_of_a_service(summond):
    assert NAME in summond.ctl("add", NAME, "--cmdline", "sim.boot_delay=10ms").stdout
    assert "asleep" in summond.ctl("list").stdout
    assert summond.ctl("list", "--names").stdout.split() == [NAME]
    summond.ctl("wake", NAME)
    assert json.loads(summond.ctl("--json", "show", NAME).stdout)["state"] == "awake"
    timeline = summond.ctl("timeline", NAME).stdout
    for stage in ("query", "admitted", "created", "ready", "answered"):
        assert stage in timeline
    assert "operator" in summond.ctl("summons", NAME).stdout
    assert "summond: ready" in summond.ctl("logs", NAME).stdout
    summond.ctl("retire", NAME, "--how", "destroy")
    summond.wait_state(NAME, "asleep")
    summond.ctl("pin", NAME)
    summond.wait_state(NAME, "awake")
    summond.ctl("unpin", NAME)
    summond.ctl("remove", NAME)
    assert summond.ctl("show", NAME, check=False).returncode == 3


def test_policies(summond):
    summond.ctl("policy", "set", "quick", "idle_after=5s", "ttl=1s")
    assert "5s" in summond.ctl("policy", "show", "quick").stdout
    assert "quick" in summond.ctl("policy", "list").stdout
    failed = summond.ctl("policy", "set", "quick", "idel_after=5s", check=False)
    assert failed.returncode == 1 and "idle_after" in failed.stderr
    summond.ctl("policy", "remove", "quick")


def test_a_failing_start_has_its_exit_status_and_its_reason(summond):
    summond.ctl("add", NAME, "--cmdline", "sim.fail=start")
    failed = summond.ctl("wake", NAME, check=False)
    assert failed.returncode == 5 and failed.stderr.strip()
    checked = summond.ctl("check", check=False)
    assert checked.returncode == 1 and NAME in checked.stdout + checked.stderr


def test_a_file_is_applied_and_applied_again(summond):
    path = summond.folder / "site.conf"
    path.write_text(f'policy "calm" {{ idle_after = 10min }}\n'
                    f'service "{NAME}" {{ policy = calm\n memory = 48MiB }}\n')
    assert "added" in summond.ctl("apply", "-f", path).stdout
    assert summond.service(NAME)["memory"] == "48MiB"
    again = summond.ctl("apply", "-f", path).stdout.splitlines()
    assert len(again) == 2 and all(line.endswith(": unchanged") for line in again)
    path.write_text(path.read_text() + "nonsense {")
    failed = summond.ctl("apply", "-f", path, check=False)
    assert failed.returncode != 0 and f"{path}:" in failed.stderr


def test_a_site_becomes_a_tar(summond):
    folder = summond.folder / "public"
    folder.mkdir()
    (folder / "index.html").write_text("hello")
    summond.ctl("add", NAME, "--site", folder)
    service = summond.service(NAME)
    assert service["image"] == "website"
    assert b"index.html" in open(service["initrd"], "rb").read()


def listens(summond, *words):
    """Starts a command that prints what happens, and gives what it printed by the end."""
    return subprocess.Popen([SUMMONCTL, "--socket", summond.socket, *words],
                            stdout=open(summond.folder / words[0], "w"), stderr=subprocess.STDOUT)


def test_watch_and_follow(summond):
    summond.ctl("add", NAME)
    processes = [listens(summond, "watch"), listens(summond, "logs", NAME, "-f")]

    def both_have_printed():
        # Who has connected too late hears the next time.
        summond.ctl("wake", NAME)
        summond.ctl("retire", NAME, "--how", "destroy")
        summond.wait_state(NAME, "asleep")
        return ("awake" in (summond.folder / "watch").read_text() and
                "summond: ready" in (summond.folder / "logs").read_text())

    wait_for(both_have_printed, "both to print")
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.wait(HANG)


def test_who_follows_hears_the_end_of_a_removed_service(summond):
    summond.ctl("add", NAME)
    follows = listens(summond, "logs", NAME, "-f")

    def it_is_heard():
        summond.ctl("wake", NAME)
        summond.ctl("retire", NAME, "--how", "destroy")
        summond.wait_state(NAME, "asleep")
        return "summond: ready" in (summond.folder / "logs").read_text()

    wait_for(it_is_heard, "what the guest says to be heard")
    summond.ctl("wake", NAME)
    summond.ctl("remove", NAME)
    assert follows.wait(HANG) == 0
    assert "fail" not in (summond.folder / "logs").read_text()


def test_without_a_daemon():
    done = subprocess.run([SUMMONCTL, "--socket", "/nonexistent/control.sock", "status"],
                          capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 4 and "not reachable" in done.stderr
    assert "No such file or directory" in done.stderr


def test_a_site_without_a_daemon(tmp_path):
    (tmp_path / "index.html").write_text("hello\n")
    done = subprocess.run([SUMMONCTL, "--socket", "/nonexistent/control.sock", "add", NAME,
                           "--site", tmp_path],
                          capture_output=True, text=True, timeout=HANG, check=False)
    assert done.returncode == 4 and "not reachable" in done.stderr

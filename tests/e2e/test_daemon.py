# SPDX-License-Identifier: ISC
"""The daemon as a process: its configuration, its signals, its restarts. On the sim backend."""
import fcntl
import os
import signal
import socket
import subprocess

import pytest
from harness import BUILD, HANG, IMAGES, SUMMOND, Summond, UnixConnection, guest_sockets, wait_for

NAME = "www.example.test"

BAD_CONFIGS = [
    ("dns { lisen = [] }", 10, "did you mean"),
    ("dns {\n max_tcp = many\n}", 11, "number"),
    ("network { address = 10.77.0.1/40 }", 10, "prefix"),
    ('log { level = "loud" }', 10, "debug"),
    ("backend {", 10, ""),
    ('zone "b.test" { }', 10, "ns"),
    ('policy "x" { }', 10, "summonctl policy set"),
]


@pytest.mark.parametrize("text,line,words", BAD_CONFIGS)
def test_a_bad_configuration_names_file_and_line(text, line, words):
    summond = Summond(text, backend="sim", network=False)
    done = subprocess.run([SUMMOND, "--check", "-c", summond.config], capture_output=True,
                          text=True, timeout=HANG, check=False)
    summond.stop()
    assert done.returncode == 1
    assert f"{summond.config}:" in done.stderr and words in done.stderr
    # The file begins with an empty line; what is added comes from line 10 on.
    assert f"summond.conf:{line}:" in done.stderr, done.stderr


def test_check_says_that_all_is_well():
    summond = Summond(backend="sim", network=False)
    done = subprocess.run([SUMMOND, "--check", "-c", summond.config], capture_output=True,
                          text=True, timeout=HANG, check=False)
    summond.stop()
    assert done.returncode == 0 and "no problem" in done.stdout


def test_the_environment_overrides():
    env = {"SUMMOND_LOG_FORMAT": "json"}
    with Summond(backend="sim", network=False, env=env).start() as summond:
        assert '"message"' in summond.log()


def test_conf_d_is_read():
    summond = Summond(backend="sim", network=False)
    folder = summond.folder / "conf.d"
    folder.mkdir()
    (folder / "10-zone.conf").write_text('zone "more.test" { ns = ["ns1.example.test"] }\n')
    with summond.start():
        assert summond.dig("x.more.test").status == "NXDOMAIN"


def test_reload_takes_new_zones_and_refuses_nonsense():
    with Summond(backend="sim", network=False).start() as summond:
        text = summond.config.read_text()
        assert summond.dig("more.test", "SOA").status == "REFUSED"
        summond.config.write_text(text + 'zone "more.test" { ns = ["ns1.example.test"] }\n')
        summond.process.send_signal(signal.SIGHUP)
        wait_for(lambda: summond.dig("more.test", "SOA").status == "NOERROR", "the new zone")
        summond.config.write_text(text + "nonsense {")
        summond.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "not reloaded" in summond.log(), "the refusal")
        assert summond.dig("more.test", "SOA").status == "NOERROR"


def test_a_disk_that_takes_its_time_holds_up_no_answer():
    """Who opens a file waits while another has a lease on it (fcntl(2))."""
    summond = Summond(backend="sim", network=False)
    extra = summond.folder / "conf.d" / "10-zone.conf"
    extra.parent.mkdir()
    extra.write_text('zone "more.test" { ns = ["ns1.example.test"] }\n')
    with summond.start():
        before = signal.signal(signal.SIGIO, signal.SIG_IGN)
        with open(extra, "r+", encoding="ascii") as held:
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_WRLCK)
            summond.process.send_signal(signal.SIGHUP)
            wait_for(lambda: fcntl.fcntl(held, fcntl.F_GETLEASE) != fcntl.F_WRLCK,
                     "the file to be opened")
            assert summond.dig("x.more.test").status == "NXDOMAIN"
            assert "reloaded" not in summond.log()
            fcntl.fcntl(held, fcntl.F_SETLEASE, fcntl.F_UNLCK)
            wait_for(lambda: "configuration reloaded" in summond.log(), "the reload")
        signal.signal(signal.SIGIO, before)


def test_what_is_added_after_a_reload_has_the_new_defaults():
    with Summond(backend="sim", network=False).start() as summond:
        text = summond.config.read_text()
        for size in ("40MiB", "48MiB"):
            summond.config.write_text(text + f"guest {{ memory = {size} }}\n")
            summond.process.send_signal(signal.SIGHUP)
            wait_for(lambda size=size: summond.add(NAME)["memory"] == size, "the new default")
            assert summond.service(NAME)["backend"] == "sim"
            assert summond.dig(NAME).addresses


def test_the_service_manager_is_told():
    summond = Summond(backend="sim", network=False)
    path = summond.folder / "notify"
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.bind(str(path))
    manager.settimeout(HANG)
    summond.env["NOTIFY_SOCKET"] = str(path)
    with summond.start():
        assert b"READY=1" in manager.recv(4096)
        summond.process.send_signal(signal.SIGTERM)
        assert b"STOPPING=1" in manager.recv(4096)
        summond.process.wait(HANG)


def test_a_second_daemon_on_the_same_state_is_refused():
    with Summond(backend="sim", network=False).start() as summond:
        env = {**os.environ, "SUMMOND_DNS_LISTEN": "127.0.0.1@5399"}
        done = subprocess.run([SUMMOND, "-c", summond.config], capture_output=True, text=True,
                              env=env, timeout=HANG, check=False)
        assert done.returncode == 1
        assert "summond.db" in done.stderr


def test_a_port_in_use_is_named():
    with Summond(backend="sim", network=False).start() as first:
        second = Summond(backend="sim", network=False)
        done = subprocess.run([SUMMOND, "-c", second.config], capture_output=True, text=True,
                              timeout=HANG, check=False)
        second.stop()
        assert done.returncode == 1
        assert f"127.0.0.1@{first.port}" in done.stderr or "127.0.0.1" in done.stderr


def test_definitions_survive_kill_9():
    with Summond(backend="sim", network=False).start() as summond:
        summond.policy("mine", idle_after="5min")
        before = summond.add(NAME, policy="mine", memory="48MiB", cmdline="hello")
        summond.call("POST", f"/v1/services/{NAME}/pin")
        summond.kill()
        summond.start()
        after = summond.service(NAME)
        for key in ("id", "ipv4", "mac", "policy", "memory", "cmdline"):
            assert after[key] == before[key]
        assert after["pinned"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_guests_outlive_the_daemon_and_are_adopted(number):
    config = 'backend "sim" { persist = yes }'
    with Summond(config, backend="sim", network=False).start() as summond:
        summond.policy("susp", retire="suspend")
        summond.add(NAME)
        summond.add("two.example.test", policy="susp")
        summond.dig(NAME)
        summond.dig("two.example.test")
        summond.call("POST", "/v1/services/two.example.test/retire", {})
        summond.wait_state("two.example.test", "suspended")
        before = {i["service"]: i["generation"] for i in summond.get("/v1/instances")["instances"]}
        summond.kill(number)
        summond.start()
        after = {i["service"]: i["generation"] for i in summond.get("/v1/instances")["instances"]}
        assert after == before
        assert summond.state(NAME) == "awake"
        assert summond.state("two.example.test") == "suspended"
        assert summond.dig("two.example.test").addresses
        assert summond.dig(NAME).addresses


def test_what_a_killed_daemon_left_behind_is_removed():
    with Summond(backend="sim", network=False).start() as summond:
        summond.call("PUT", f"/v1/services/{NAME}/site", b"a site", raw=True)
        used = summond.service(NAME)["initrd"]
        client = socket.socket(socket.AF_UNIX)
        client.connect(str(summond.socket))
        client.sendall(b"PUT /v1/services/%s/site HTTP/1.1\r\nHost: x\r\n"
                       b"Content-Length: 100\r\n\r\nhalf" % NAME.encode())
        state = summond.folder / "state"
        wait_for(lambda: list(state.glob("upload-*")), "the upload to begin")
        summond.kill()
        client.close()
        unused = state / "sites" / "gone.example.test.1.tar"
        unused.write_bytes(b"of a put that was not stored")
        summond.start()
        assert not list(state.glob("upload-*")) and not unused.exists()
        assert os.path.exists(used) and summond.service(NAME)["initrd"] == used


def test_a_guest_of_a_removed_service_is_ended():
    config = 'backend "sim" { persist = yes }'
    with Summond(config, backend="sim", network=False).start() as summond:
        summond.add(NAME, cmdline="sim.stop_delay=20s")
        summond.dig(NAME)
        summond.call("DELETE", f"/v1/services/{NAME}")
        summond.kill()
        summond.start()
        assert "belongs to no service" in summond.log()


@pytest.mark.parametrize("word,idle,lasts", [("busy", "200ms", True), ("done", "1h", False)])
def test_a_guest_has_a_word_in_its_retirement(word, idle, lasts):
    with Summond(backend="sim", network=False).start() as summond:
        summond.policy("short", idle_after=idle, min_life="100ms", ttl="0")
        summond.add(NAME, policy="short", cmdline=f"sim.{word}=yes")
        summond.add("other.example.test", policy="short")
        for name in (NAME, "other.example.test"):
            assert summond.dig(name).addresses
        # Who has said nothing lives as its policy says: at the end of that, both are looked at.
        if lasts:
            summond.wait_state("other.example.test", "asleep")
            assert summond.state(NAME) == "awake"
        else:
            summond.wait_state(NAME, "asleep")
            assert summond.state("other.example.test") == "awake"


def test_a_guests_word_outlives_the_daemon():
    """It says once that it is busy; a daemon that was killed is followed by one that knows."""
    with Summond('backend "sim" { persist = yes }', backend="sim", network=False).start() as summond:
        summond.policy("short", idle_after="200ms", min_life="100ms", ttl="0")
        summond.add(NAME, policy="short", cmdline="sim.busy=yes")
        assert summond.dig(NAME).addresses
        words = summond.folder / "run" / "busy"
        wait_for(lambda: list(words.glob("*")), "its word")
        summond.kill()
        (words / "99-99").symlink_to("busy")
        summond.start()
        summond.add("other.example.test", policy="short")
        assert summond.dig("other.example.test").addresses
        summond.wait_state("other.example.test", "asleep")
        assert summond.state(NAME) == "awake"
        assert len(list(words.glob("*"))) == 1, "that of another guest is forgotten"
        summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
        summond.wait_state(NAME, "asleep")
        assert not list(words.glob("*"))


def backends_of(summond):
    return {item["name"]: item["message"] for item in summond.get("/v1/check")["checks"]}


BACKENDS = subprocess.run([SUMMOND, "--version"], capture_output=True, text=True,
                          check=True).stdout.split()


@pytest.mark.skipif(not {"vmm", "libvirt"} <= set(BACKENDS), reason="built without vmm or libvirt")
def test_the_usual_backend_is_one_that_suits():
    """auto: vmm where it has machines, which this one has not; and vmm stays for who names it."""
    config = 'backend "vmm" { monitor = "/bin/false" }'
    with Summond(config, backend="auto", network=False).start() as summond:
        checks = backends_of(summond)
        assert "vmm does not suit: summon-vmm --check fails" in checks["backend"]
        assert "no guest can run here" in checks["vmm"]
        usual = checks["backend"].split()[0]
        assert usual != "vmm"
        assert summond.add("a.example.test", image="hello")["backend"] == usual


MONITOR = BUILD.resolve() / "summon-vmm" / "summon-vmm"


@pytest.mark.skipif(not os.path.exists(MONITOR) or subprocess.run(
    [MONITOR, "--check", "--mode=kvm"], stdout=subprocess.DEVNULL, check=False).returncode,
    reason="summon-vmm has no machines here")
def test_the_usual_backend_is_our_own():
    with Summond(f'backend "vmm" {{ monitor = "{MONITOR}" }}', backend="auto",
                 network=False).start() as summond:
        checks = backends_of(summond)
        assert checks["backend"] == "vmm runs services that name none"
        assert "mode kvm" in checks["vmm"]
        assert "libvirt" not in checks


@pytest.mark.skipif(not (IMAGES / "hello.elf").exists() or not os.path.exists(MONITOR) or subprocess.run(
    [MONITOR, "--check", "--mode=process"], stdout=subprocess.DEVNULL, check=False).returncode,
    reason="summon-vmm runs nothing here")
def test_it_ends_while_somebody_waits_for_figures():
    env = {"MALLOC_PERTURB_": "165"}  # what was freed cannot be taken for anything
    with Summond(backend="vmm", env=env, settings={"mode": "process"}).start() as summond:
        for name in ("a.example.test", "b.example.test", NAME):
            summond.add(name, image="hello")
        assert summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})[0] == 200
        [pid] = summond.monitors()
        os.kill(pid, signal.SIGSTOP)
        waits = UnixConnection(summond.socket)
        waits.request("GET", f"/v1/services/{NAME}?figures=1")
        assert summond.state(NAME) == "awake"
        summond.process.send_signal(signal.SIGTERM)
        assert summond.process.wait(HANG) == 0, summond.log()
        waits.close()


@pytest.mark.skipif("vmm" not in BACKENDS, reason="built without vmm")
@pytest.mark.parametrize("words,key", [
    ({"image": "/bin/true"}, "image: /bin/true is not built on guest-kernel"),
    ({"image": "/etc/passwd"}, "image: /etc/passwd is not built on guest-kernel"),
    ({"domain_xml": "<domain/>"}, "domain_xml: vmm runs images of guest-kernel only"),
    ({"image": "website", "vcpus": 2}, "vcpus: vmm gives a guest one CPU, not 2")])
def test_vmm_says_at_once_what_it_cannot_run(words, key):
    with Summond(backend="vmm", network=False).start() as summond:
        status, answer = summond.call("PUT", f"/v1/services/{NAME}", words)
        assert status == 400 and key in answer["error"], answer
        assert summond.call("GET", f"/v1/services/{NAME}")[0] == 404
        assert summond.call("PUT", f"/v1/services/{NAME}", {"image": "website"})[0] == 201


def test_a_socket_that_goes_is_not_told(tmp_path):
    """Of the tests' own count of monitors: libvirt removes a guest's folder after its process has ended,
    maybe between the look at the folder and that at its files. There a link to nothing looks the same."""
    stays = tmp_path / "folder" / "stays.sock"
    stays.parent.mkdir()
    stays.touch()
    (tmp_path / "goes.sock").symlink_to("nowhere")
    assert list(guest_sockets(tmp_path)) == [stays.stat().st_ino]

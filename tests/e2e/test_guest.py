# SPDX-License-Identifier: ISC
"""The whole way, on real parts: libvirt's embedded driver and QEMU, or summon-vmm (which the variable
E2E_BACKEND says, and E2E_MODE whether with KVM); our guest kernel, dig and curl."""
import io
import os
import signal
import socket
import struct
import tarfile

import pytest
from harness import BACKEND, BUILD, HANG, IMAGES, ask, curl, wait_for
from net import summond_with_guests

NAME = "www.example.test"
# One client asks for more than any client should.
WITHOUT_BUDGETS = "wake { per_source = none\n per_service = none\n total = none }"
# How often a start is repeated to see that its client's first packet is never lost.
STARTS = int(os.environ.get("E2E_STARTS", "100" if BACKEND == "vmm" else "2"))


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(WITHOUT_BUDGETS) as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def clean(summond):
    yield
    if summond.process.poll() is not None:
        summond.start()
    summond.remove_all()


PAGES = {"index.html": b"<h1>it works</h1>", "a/b.css": b"p { color: red }",
         "big.bin": os.urandom(1 << 20)}


def site(pages=None):
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path, content in (pages or PAGES).items():
            info = tarfile.TarInfo(path)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return data.getvalue()


def put_site(summond, name=NAME, pages=None):
    status, service = summond.call("PUT", f"/v1/services/{name}/site", site(pages))
    assert status in (200, 201), service
    return service


def fetch(summond, path="/", name=NAME):
    [address] = summond.dig(name).addresses
    return curl(f"http://{address}{path}")


def test_a_machine_for_each_client(summond):
    put_site(summond)
    summond.policy("alone", instances="per-client:2")
    status, service = summond.call("PATCH", f"/v1/services/{NAME}", {"policy": "alone"})
    assert status == 200, service
    wanted = [service["ipv4"], service["machines"][0]["ipv4"]]
    for client, address in zip(("127.0.0.2", "127.0.0.3"), wanted):
        assert summond.dig(NAME, "-b", client).addresses == [address]
        assert curl(f"http://{address}/") == (200, PAGES["index.html"])
    assert len(summond.monitors()) == 2
    assert summond.dig(NAME, "-b", "127.0.0.4").status == "SERVFAIL"
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    wait_for(lambda: not summond.monitors(), "both to end")


def test_cold_then_warm(summond):
    address = put_site(summond)["ipv4"]
    assert not summond.monitors()
    answer = summond.dig(NAME)
    assert answer.addresses == [address]
    # The very first connection is served: the answer left when the guest was ready.
    assert curl(f"http://{address}/") == (200, PAGES["index.html"])
    assert curl(f"http://{address}/a/b.css") == (200, PAGES["a/b.css"])
    assert curl(f"http://{address}/big.bin") == (200, PAGES["big.bin"])
    assert curl(f"http://{address}/none")[0] == 404
    assert len(summond.monitors()) == 1
    assert fetch(summond)[0] == 200
    if BACKEND == "vmm":
        figures = summond.get(f"/v1/services/{NAME}?figures=1")["figures"]
        assert figures["mode"] in ("kvm", "process") and figures["bytes_out"] > len(PAGES["big.bin"]), figures
        assert all(figures[name] > 0 for name in ("frames_in", "exits", "resident", "cpu_ns")), figures
    [summon] = summond.summons(NAME)
    stages = {stage["name"]: stage["at_ns"] for stage in summon["stages"]}
    for stage in ("query", "admitted", "link-up", "asked", "first-instruction", "ready",
                  "answered"):
        assert stage in stages


@pytest.mark.skipif(BACKEND != "vmm", reason="only summon-vmm has figures")
def test_a_monitor_that_does_not_answer_keeps_nobody_waiting(summond):
    put_site(summond)
    assert fetch(summond)[0] == 200
    [pid] = summond.monitors()
    os.kill(pid, signal.SIGSTOP)
    service = summond.get(f"/v1/services/{NAME}?figures=1")
    os.kill(pid, signal.SIGCONT)
    assert service["state"] == "awake" and "figures" not in service
    assert "figures" in summond.get(f"/v1/services/{NAME}?figures=1")


def retransmissions(client):
    """tcpi_total_retrans, the last but one of struct tcp_info's first 104 bytes."""
    return struct.unpack("I", client.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)[100:])[0]


def test_no_first_packet_is_lost(summond):
    put_site(summond)
    again = 0
    for _ in range(STARTS):
        address = ask(NAME, summond.port)
        with socket.create_connection((address, 80), timeout=HANG) as client:
            again += retransmissions(client)
        # Of a start that takes longer than an answer is held, and then than a client's patience.
        assert again <= summond.sent_again_in_time(NAME)
        summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
        summond.wait_state(NAME, "asleep")


def test_policies_want_shells(summond):
    if BACKEND != "vmm":
        pytest.skip(f"{BACKEND} knows no shells")

    def shells_are(count):
        folder = summond.run / "vmm"
        spare = 1  # a socket that waits for a monitor
        wait_for(lambda: len(list(folder.glob("*-shell-*.sock"))) == count + spare, f"{count} shells")

    for name, count in (("crowd", 5), ("pair", 2)):
        summond.policy(name, shells=str(count))
    summond.add("one.example.test", image="hello", policy="crowd")
    summond.add("two.example.test", image="hello", policy="crowd", memory="64MiB")
    shells_are(5)
    summond.add("two.example.test", image="hello", policy="pair")
    shells_are(7)
    assert summond.dig("one.example.test").addresses
    shells_are(7)
    summond.call("DELETE", "/v1/services/one.example.test")
    summond.call("DELETE", "/v1/services/two.example.test")
    shells_are(2)


def test_names_come_and_go_while_it_serves(summond):
    other = "shop.example.test"
    address = put_site(summond)["ipv4"]
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"names": [other]})
    assert status == 200, answer
    assert fetch(summond, name=other) == (200, PAGES["index.html"])
    [instance] = summond.get("/v1/instances")["instances"]
    with socket.create_connection((address, 80), timeout=HANG) as client:
        client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r")
        for names in ([], [other, "more.example.test"], ["more.example.test"]):
            assert summond.call("PATCH", f"/v1/services/{NAME}", {"names": names})[0] == 200
        client.sendall(b"\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
    assert summond.dig("more.example.test").addresses == [address]
    assert summond.dig(other).status == "NXDOMAIN"
    [now] = summond.get("/v1/instances")["instances"]
    assert now["generation"] == instance["generation"] and len(summond.monitors()) == 1


def test_joined_queries_start_one_guest(summond):
    address = put_site(summond)["ipv4"]
    queries = [summond.dig_start(NAME, "+short", *(["+tcp"] if i % 5 == 0 else []))
               for i in range(50)]
    answers = {query.communicate()[0].strip() for query in queries}
    assert answers == {address}
    assert len(summond.monitors()) == 1
    assert len(summond.summons(NAME)) == 1


def test_a_site_is_replaced(summond):
    put_site(summond)
    assert fetch(summond)[1] == PAGES["index.html"]
    put_site(summond, pages={"index.html": b"new"})
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    summond.wait_state(NAME, "asleep")
    assert fetch(summond) == (200, b"new")
    assert len(list((summond.folder / "state" / "sites").iterdir())) == 1


def test_an_image_that_does_not_boot(summond):
    garbage = summond.folder / "garbage.elf"
    garbage.write_bytes((IMAGES / "hello.elf").read_bytes())
    summond.policy("brief", ready_timeout="3s", hold="3s", backoff_first="100ms",
                   backoff_max="100ms")
    summond.add(NAME, image=str(garbage), policy="brief")
    garbage.write_bytes(b"\x7fELF nothing of the kind" * 100)
    answer = summond.dig(NAME)
    assert answer.status == "SERVFAIL" and answer.ede
    summond.wait_state(NAME, "asleep")
    assert summond.service(NAME)["last_error"]
    wait_for(lambda: not summond.monitors(), "nothing to be left of it")


def test_an_image_that_never_gets_ready(summond):
    summond.policy("brief", ready="console", ready_line="these words never come", hold="200ms",
                   ready_timeout="1s")
    summond.add(NAME, image="hello", policy="brief")
    answer = summond.dig(NAME)
    assert answer.addresses and answer.ede == 14
    summond.wait_state(NAME, "asleep")
    assert "ready_timeout" in summond.service(NAME)["last_error"]
    wait_for(lambda: not summond.monitors(), "nothing to be left of it")


def test_a_guest_that_dies_is_noticed_and_comes_back(summond):
    put_site(summond)
    assert fetch(summond)[0] == 200
    [pid] = summond.monitors()
    os.kill(pid, signal.SIGKILL)
    summond.wait_state(NAME, "asleep")
    assert fetch(summond)[0] == 200
    assert len(summond.summons(NAME)) == 2


def test_a_guest_that_panics_says_so(summond):
    summond.add(NAME, image="hello", cmdline="panic=1")
    summond.dig(NAME)
    summond.wait_state(NAME, "asleep")
    status, text = summond.call("GET", f"/v1/services/{NAME}/log", raw=True)
    assert status == 200 and "panic" in text


@pytest.mark.parametrize("retire", ["destroy", "shutdown"])
def test_idle_is_retired_and_summoned_again(summond, retire):
    summond.policy("short", idle_after="1s", min_life="0", ttl="0", retire=retire)
    put_site(summond)
    summond.add(NAME, **{**definition(summond), "policy": "short"})
    assert fetch(summond)[0] == 200
    summond.wait_state(NAME, "asleep")
    wait_for(lambda: not summond.monitors(), "the monitor to be gone")
    assert fetch(summond)[0] == 200
    assert [summon["outcome"] for summon in summond.summons(NAME)] == ["ready", "ready"]


def definition(summond, name=NAME):
    service = summond.service(name)
    return {key: service[key] for key in ("image", "initrd") if key in service}


def test_traffic_keeps_a_guest_awake(summond):
    summond.policy("short", idle_after="1s", min_life="0", ttl="0")
    put_site(summond)
    summond.add(NAME, **definition(summond), policy="short")
    [address] = summond.dig(NAME).addresses
    since = summond.service(NAME)["since"]
    for _ in range(8):  # for much longer than idle_after, and without a query
        assert curl(f"http://{address}/")[0] == 200
        with pytest.raises(AssertionError):
            wait_for(lambda: summond.state(NAME) != "awake", "nothing", limit=0.4)
    assert summond.service(NAME)["since"] == since


@pytest.mark.parametrize("start,retire,rest", [
    ("prepared", "destroy", "prepared"),
    ("suspended", "suspend", "suspended"),
    ("cold", "suspend", "suspended"),
    ("snapshot", "snapshot", "suspended"),
])
def test_tiers(summond, start, retire, rest):
    [backend] = summond.get("/v1/status")["backends"]
    if start == "snapshot" and "snapshot" not in backend["capabilities"]:
        pytest.skip(f"{backend['name']} cannot keep guests on disk")
    summond.policy("tier", start=start, retire=retire, idle_after="1s", min_life="0", ttl="0")
    put_site(summond)
    summond.add(NAME, **definition(summond), policy="tier")
    if start != "cold":
        summond.wait_state(NAME, rest)
    for _ in range(2):
        if start == "snapshot":
            assert not summond.monitors(), "on disk, nothing of it runs"
        assert fetch(summond) == (200, PAGES["index.html"])
        summond.wait_state(NAME, rest)
    assert [summon["outcome"] for summon in summond.summons(NAME)] == ["ready", "ready"]


def log(summond, name=NAME):
    status, text = summond.call("GET", f"/v1/services/{name}/log", raw=True)
    assert status == 200
    return text


@pytest.mark.skipif(BACKEND != "vmm", reason="only summon-vmm begins guests from what others were")
def test_what_was_done_before_it_was_ready_is_not_done_again(summond):
    templates = summond.folder / "state" / "vmm" / "templates"
    summond.policy("template", start="snapshot", retire="destroy", ttl="0", min_life="0")
    summond.add(NAME, image="hello", cmdline="work=300ms", policy="template")
    summond.wait_state(NAME, "suspended")
    wait_for(lambda: list(templates.iterdir()), "the template")

    def summon_and_destroy(starts):
        assert summond.dig(NAME).addresses
        wait_for(lambda: log(summond).count("ready after") == starts, "the console")
        summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
        summond.wait_state(NAME, "asleep")
        return log(summond).count("has worked")

    assert summon_and_destroy(2) == 1
    assert summon_and_destroy(3) == 1
    summond.kill(signal.SIGTERM)
    summond.start()
    assert summon_and_destroy(1) == 0
    # Others begin from it too; with other words, one has to be made anew.
    summond.add("two.example.test", image="hello", cmdline="work=300ms", policy="template")
    assert summond.state("two.example.test") == "asleep"
    assert summond.dig("two.example.test").addresses
    assert "has worked" not in log(summond, "two.example.test")
    summond.call("DELETE", "/v1/services/two.example.test")
    summond.add(NAME, image="hello", cmdline="work=301ms", policy="template")
    summond.wait_state(NAME, "suspended")
    assert "has worked for 301 ms" in log(summond)


@pytest.mark.parametrize("options", [{"ready": "tcp"}, {"ready": "frame"},
                                     {"ready": "delay", "ready_delay": "700ms"}])
def test_ways_to_know_that_it_is_ready(summond, options):
    summond.policy("ready", **options)
    put_site(summond)
    summond.add(NAME, **definition(summond), policy="ready")
    assert fetch(summond) == (200, PAGES["index.html"])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_guests_outlive_the_daemon(summond, number):
    summond.policy("rest", retire="suspend")
    put_site(summond)
    put_site(summond, "two.example.test")
    summond.add("two.example.test", **definition(summond, "two.example.test"), policy="rest")
    assert fetch(summond)[0] == 200
    assert fetch(summond, name="two.example.test")[0] == 200

    def rests():  # again, where the end of the client's connection came late, and woke it
        if summond.state("two.example.test") == "awake":
            summond.call("POST", "/v1/services/two.example.test/retire", {})
        return summond.state("two.example.test") == "suspended"

    wait_for(rests, "two.example.test to rest")
    before = sorted(summond.monitors())
    address = summond.service(NAME)["ipv4"]
    summond.kill(number)
    assert curl(f"http://{address}/")[0] == 200, "it serves while summond is away"
    summond.start()
    assert sorted(summond.monitors()) == before
    assert summond.state(NAME) == "awake"
    assert fetch(summond)[0] == 200
    assert summond.state("two.example.test") == "suspended"
    assert fetch(summond, name="two.example.test")[0] == 200
    assert sorted(summond.monitors()) == before


def test_killed_while_a_guest_boots(summond):
    put_site(summond)
    query = summond.dig_start(NAME)
    wait_for(lambda: summond.state(NAME) != "asleep", "the start")
    summond.kill()
    query.kill()
    query.communicate()
    summond.start()
    assert fetch(summond) == (200, PAGES["index.html"])
    assert len(summond.monitors()) == 1


@pytest.mark.skipif(BACKEND != "libvirt", reason="pid files are libvirt's")
def test_the_pid_file_of_a_domain_that_is_no_more_is_swept(summond):
    """A daemon that is killed while it removes a domain leaves it."""
    put_site(summond)
    assert fetch(summond)[0] == 200
    run = summond.folder / "state/libvirt/libvirt/run/qemu"
    wait_for(lambda: len(list(run.glob("summond-*.pid"))) == 1, "guests of other tests to end")
    ours, = run.glob("summond-*.pid")
    left = ours.with_name(ours.stem + "7.pid")
    foreign = ours.with_name("driver-7.pid")
    for file in (left, foreign):
        file.write_text("1")
    summond.kill()
    summond.start()
    wait_for(lambda: not left.exists(), "the file to be gone")
    assert ours.exists() and foreign.exists()
    assert fetch(summond)[0] == 200


@pytest.mark.skipif(BACKEND != "libvirt", reason="domains are libvirt's")
def test_a_domain_of_the_users_own(summond):
    xml = """<domain type='qemu'>
  <name>replaced</name>
  <memory unit='KiB'>{memory_kib}</memory>
  <vcpu>{vcpus}</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel><initrd>{initrd}</initrd><cmdline>{cmdline}</cmdline></os>
  <features><acpi/></features>
  <devices>
    <interface type='ethernet'><mac address='{mac}'/><target dev='{tap}' managed='no'/>
      <model type='virtio'/><rom enabled='no'/></interface>
    <serial type='pty'/><console type='pty'/><memballoon model='none'/>
  </devices>
</domain>"""
    put_site(summond)
    summond.policy("slow", hold="5s")
    summond.add(NAME, **{**definition(summond), "image": str(BUILD / "guest-kernel/website.elf")},
                domain_xml=xml, policy="slow")
    assert fetch(summond) == (200, PAGES["index.html"])
    status, text = summond.call("GET", f"/v1/services/{NAME}/log", raw=True)
    assert "summond: ready" in text


def test_echo_over_udp_and_tcp(summond):
    summond.add(NAME, image="echo")
    [address] = summond.dig(NAME).addresses
    with socket.create_connection((address, 7), timeout=20) as tcp:
        tcp.sendall(b"over tcp")
        assert tcp.recv(100) == b"over tcp"
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.settimeout(20)
        udp.sendto(b"over udp", (address, 7))
        assert udp.recv(100) == b"over udp"


def test_two_guests_reach_each_other_and_the_host(summond):
    names = [NAME, "two.example.test", "three.example.test"]
    for name in names:
        put_site(summond, name, {"index.html": name.encode()})
    for name in names:
        assert fetch(summond, name=name) == (200, name.encode())
    assert len(summond.monitors()) == 3

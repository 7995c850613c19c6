# SPDX-License-Identifier: ISC
"""What rings and what does not, with guests of the sim backend whose network stacks are real: each
is a namespace that is tied to its tap."""
import errno
import re
import random
import socket
import struct
import subprocess

import pytest
from harness import wait_for
from net import Here, adopt_sim_guest, finish, ip, settle, summond_with_guests

NAME, OTHER = "www.example.test", "db.example.test"
CONFIG = """
network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }
backend "sim" { boot_delay = 1ms; persist = yes }
limits { parked_per_service = 8 }
wake { per_source = none; per_service = none; total = none }
"""


@pytest.fixture(scope="module")
def summond():
    with summond_with_guests(CONFIG, backend="sim") as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def guests(summond):
    """Stacks of guests; what a test starts ends with it."""
    made = []
    yield made
    summond.remove_all()
    for guest in made:
        guest.close()


def serve(summond, name=NAME, **options):
    summond.policy("ring", **{"ready": "frame", "ready_timeout": "60s", **options})
    return summond.add(name, policy="ring")


def door(summond, name=NAME):
    return summond.service(name)["doorbell"]


def bell(summond):
    return summond.get("/v1/status")["counters"]["doorbell"]


def put_to_sleep(summond, name=NAME):
    summond.call("POST", f"/v1/services/{name}/retire", {"how": "destroy"})
    summond.wait_state(name, "asleep")


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_all_clients_connect_at_the_first_syn(summond, places, guests, key):
    address = serve(summond)[key]
    clients = [place.start("tcp", address, 80) for place in places.values()]
    wait_for(lambda: door(summond)["waiting"] == 3, "all of them to wait")
    guests.append(adopt_sim_guest(summond, NAME))
    answers = [finish(client) for client in clients]
    assert [answer["body"] for answer in answers] == ["hello from a guest\n"] * 3
    assert sum(answer["retransmissions"] for answer in answers) <= door(summond)["repeated"]
    assert door(summond)["replayed"] == 3
    assert len(summond.summons(NAME)) == 1


def test_clients_of_several_addresses_wait_at_one_door(summond, places, guests):
    several = ["10.77.3.1", "10.77.3.2", "10.77.3.3", "fd77::3:1", "fd77::3:2"]
    summond.policy("ring", ready="frame", ready_timeout="60s")
    summond.add(NAME, policy="ring", addresses=several)
    clients = [place.start("tcp", address, 80)
               for place, address in zip([*places.values(), *places.values()], several)]
    wait_for(lambda: door(summond)["waiting"] == 5, "all of them to wait")
    guests.append(adopt_sim_guest(summond, NAME))
    answers = [finish(client) for client in clients]
    assert [answer["body"] for answer in answers] == ["hello from a guest\n"] * 5
    assert sum(answer["retransmissions"] for answer in answers) <= door(summond)["repeated"]
    assert door(summond)["replayed"] == 5
    assert len(summond.summons(NAME)) == 1


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_another_guest_is_a_client(summond, guests, key):
    serve(summond, OTHER)
    address = serve(summond)[key]
    summond.call("POST", f"/v1/services/{OTHER}/wake", {"wait": False})
    other = adopt_sim_guest(summond, OTHER)
    guests.append(other)
    summond.wait_state(OTHER, "awake")
    sent_again = 0
    for _ in range(2):  # with an empty neighbour cache, and with a full one
        client = other.start("tcp", address, 80)
        guests.append(adopt_sim_guest(summond, NAME))
        answer = finish(client)
        assert answer["body"] == "hello from a guest\n", answer
        sent_again += answer["retransmissions"]
        assert sent_again <= door(summond)["repeated"]
        assert answer["source"] == summond.service(OTHER)[key]
        put_to_sleep(summond)


def test_what_is_not_listed_is_refused(summond, places):
    service = serve(summond, ring_tcp="80", ring_udp="53")
    for place in places.values():
        for key in ("ipv4", "ipv6"):
            answer = place.ask("tcp", service[key], 22)
            assert answer["error"] == errno.ECONNREFUSED, answer
            assert place.ask("udp", service[key], 54, 1)["error"] == errno.ECONNREFUSED
    assert summond.state(NAME) == "asleep"
    assert door(summond)["port"] == 12
    assert "port 12" in summond.ctl("check", check=False).stdout
    assert re.search(r"doorbell.port +12", summond.ctl("show", NAME).stdout)
    assert re.search(r"port +12$", summond.ctl("show", NAME).stdout, re.M)
    assert not summond.summons(NAME)


def test_who_may_not_ring_is_told(summond, places):
    service = serve(summond, ring_from="10.77.0.0/16 fd77::/64")
    for key in ("ipv4", "ipv6"):
        answer = places["forwarded"].ask("tcp", service[key], 80)
        assert answer["error"] in (errno.EHOSTUNREACH, errno.EACCES), answer
    assert summond.state(NAME) == "asleep"
    assert door(summond)["source"] == 2
    client = places["bridge"].start("tcp", service["ipv4"], 80)
    wait_for(lambda: door(summond)["woke"], "a client that may")
    client.kill()
    client.communicate()


def test_an_address_of_nobody(summond, places):
    serve(summond)
    assert places["forwarded"].ask("tcp", "10.77.100.100", 80)["error"] == errno.EHOSTUNREACH
    assert places["host"].ask("tcp", "fd77::7777", 80)["error"] == errno.EHOSTUNREACH
    assert bell(summond)["unknown"] >= 2


def raw_tcp(source, destination, port, flags, sequence=1000, acknowledged=2000):
    header = struct.pack("!HHIIBBHHH", 40001, port, sequence, acknowledged, 5 << 4, flags, 1024,
                         0, 0)
    pseudo = socket.inet_aton(source) + socket.inet_aton(destination) + struct.pack(
        "!BBH", 0, 6, len(header))
    total = sum(struct.unpack(f"!{len(pseudo + header) // 2}H", pseudo + header))
    total = (total >> 16) + (total & 0xFFFF)
    total += total >> 16
    return header[:16] + struct.pack("!H", ~total & 0xFFFF) + header[18:]


def test_scans_start_nothing_and_hear_a_reset(summond):
    """Stray segments of every kind to a port that wakes: none does, and each that is no reset gets
    the one that RFC 9293 has for a closed port."""
    address = serve(summond)["ipv4"]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_TCP) as raw:
        raw.settimeout(20)
        raw.connect((address, 0))
        for flags in (0x10, 0x12, 0x11, 0x18, 0x01, 0x29, 0x00):
            raw.send(raw_tcp("10.77.0.1", address, 80, flags))
            answer = raw.recv(2048)[20:]
            ports, sequence, acknowledged = answer[:4], *struct.unpack("!II", answer[4:12])
            assert ports == struct.pack("!HH", 80, 40001)
            if flags & 0x10:
                assert (answer[13], sequence) == (0x04, 2000)
            else:
                assert (answer[13], sequence, acknowledged) == (
                    0x14, 0, 1000 + (flags & 1))
        for flags in (0x04, 0x14):
            raw.send(raw_tcp("10.77.0.1", address, 80, flags))
    wait_for(lambda: door(summond)["kind"] == 2, "the resets to have come")
    assert summond.state(NAME) == "asleep"
    assert door(summond)["dead"] == 7 and door(summond)["woke"] == 0


def test_rubbish_starts_nothing(summond, guests):
    """A mutated packet may by chance be a good one to another port or of another kind; of the right
    kind to the right port there is none among these."""
    address = serve(summond, ring_tcp="81")["ipv4"]
    rng = random.Random(1)
    before = bell(summond)["rang"]
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as raw:
        for _ in range(3000):
            length = rng.randrange(20, 90)
            packet = bytearray(rng.randbytes(length))
            packet[0:4] = struct.pack("!BBH", 0x45, 0, length)
            packet[6:8] = b"\0\0"
            packet[9] = rng.choice([6, 6, 17, 1, 58, 132])
            packet[12:16] = socket.inet_aton("10.77.0.1")
            packet[16:20] = socket.inet_aton(address)
            packet[22:24] = struct.pack("!H", 80) if length >= 24 else packet[22:24]
            try:
                raw.sendto(bytes(packet), (address, 0))
            except OSError:
                pass
    wait_for(lambda: bell(summond)["rang"] + bell(summond)["malformed"] > before + 1000,
             "packets to have rung")
    assert summond.state(NAME) == "asleep"
    assert bell(summond)["waiting"] == 0


def test_the_rate_is_kept(summond, guests):
    address = serve(summond, ring_rate="2/1h")["ipv4"]
    for _ in range(2):
        client = Here().start("tcp", address, 80)
        guests.append(adopt_sim_guest(summond, NAME))
        assert finish(client)["error"] == 0
        put_to_sleep(summond)
    late = Here().start("tcp", address, 80)
    wait_for(lambda: door(summond)["rate"], "a packet over the rate")
    assert summond.state(NAME) == "asleep"
    # Its client is not told: a later try may be let in, as here after a query.
    summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": False})
    guests.append(adopt_sim_guest(summond, NAME))
    assert finish(late)["error"] == 0


@pytest.mark.parametrize("faults", ["sim.fail_start=yes", "sim.never_ready=yes"])
def test_a_start_that_fails_is_heard(summond, places, faults):
    summond.policy("brief", ready_timeout="300ms", hold="100ms", backoff_first="1h",
                   backoff_max="1h")
    service = summond.add(NAME, policy="brief", cmdline=faults)
    for key in ("ipv4", "ipv6"):
        for place in places.values():  # the first one by what it waited for, then by backoff
            answer = place.ask("tcp", service[key], 80)
            assert answer["error"] == errno.EHOSTUNREACH, answer
    assert door(summond)["backoff"] == 5
    assert bell(summond)["waiting"] == 0


def test_too_many_packets(summond, guests):
    """No more wait than may; the others are as lost as on any network, and sent again."""
    address = serve(summond)["ipv4"]
    clients = [Here().start("tcp", address, 80) for _ in range(12)]
    guests.append(adopt_sim_guest(summond, NAME))
    answers = [finish(client) for client in clients]
    assert all(answer["error"] == 0 for answer in answers)
    assert door(summond)["replayed"] <= 8


def test_a_removed_service_lets_its_clients_go(summond):
    address = serve(summond)["ipv4"]
    client = Here().start("tcp", address, 80)
    wait_for(lambda: door(summond)["waiting"], "a packet to wait")
    summond.call("DELETE", f"/v1/services/{NAME}")
    assert finish(client)["error"] == errno.EHOSTUNREACH


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_what_waits_is_lost_once_when_the_daemon_is_killed(summond, places, guests, key):
    """The clients' own retransmissions ring at the next daemon, and are served."""
    serve(summond)
    address = summond.add(NAME, policy="ring", cmdline="sim.create_delay=1s")[key]
    clients = [place.start("tcp", address, 80) for place in places.values()]
    wait_for(lambda: door(summond)["waiting"] == 3, "all of them to wait")
    summond.kill()
    summond.start()
    guests.append(adopt_sim_guest(summond, NAME))
    answers = [finish(client) for client in clients]
    assert [answer["body"] for answer in answers] == ["hello from a guest\n"] * 3
    assert all(answer["retransmissions"] for answer in answers)
    assert len(summond.summons(NAME)) == 1


def wake(summond, guests):
    summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": False})
    guests.append(adopt_sim_guest(summond, NAME))
    summond.wait_state(NAME, "awake")
    return guests[-1]


def is_connecting(address):
    found = subprocess.run(["ss", "-Htn", "state", "syn-sent", "dst", f"[{address}]"],
                           capture_output=True, text=True, check=True)
    return found.stdout


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_a_guest_that_is_slow_answers_before_it_goes(summond, guests, key):
    """An order to rest finds a SYN in the guest's queue: nothing flows while it does not get to run."""
    address = serve(summond)[key]
    guest = wake(summond, guests)
    assert Here().ask("tcp", address, 80)["error"] == 0
    guest.lag = 0.2
    client = Here().start("tcp", address, 80)
    wait_for(lambda: is_connecting(address), "its SYN")
    put_to_sleep(summond)
    answer = finish(client)
    assert answer["body"] == "hello from a guest\n", answer
    assert answer["retransmissions"] == 0
    assert len(summond.summons(NAME)) == 1


def arp_announcement(service):
    mac = bytes.fromhex(service["mac"].replace(":", ""))
    own = socket.inet_aton(service["ipv4"])
    return (b"\xff" * 6 + mac + struct.pack("!HHHBBH", 0x0806, 1, 0x0800, 6, 4, 1) + mac + own +
            bytes(6) + own)


def unsolicited_advertisement(service):
    mac = bytes.fromhex(service["mac"].replace(":", ""))
    own = socket.inet_pton(socket.AF_INET6, service["ipv6"])
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = struct.pack("!BBHI", 136, 0, 0, 0x20000000) + own + b"\2\1" + mac
    total = sum(struct.unpack("!34H", own + everybody + struct.pack("!II", 32, 58) + message[:28]))
    total += sum(struct.unpack("!2H", message[28:]))
    total = (total & 0xFFFF) + (total >> 16)
    total = ~(total + (total >> 16)) & 0xFFFF
    message = message[:2] + struct.pack("!H", total) + message[4:]
    return (b"\x33\x33\0\0\0\1" + mac + struct.pack("!HIHBB", 0x86DD, 6 << 28, 32, 58, 255) + own +
            everybody + message)


@pytest.mark.parametrize("key,claim", [("ipv4", arp_announcement),
                                       ("ipv6", unsolicited_advertisement)])
def test_a_guest_that_goes_takes_no_clients_with_it(summond, places, guests, key, claim):
    """On its way down it says once more where it is; a neighbour rings all the same."""
    serve(summond)
    service = summond.add(NAME, policy="ring", cmdline="sim.stop_delay=2s")
    guest = wake(summond, guests)
    assert places["bridge"].ask("tcp", service[key], 80)["error"] == 0
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    summond.wait_state(NAME, "stopping")
    guest.say(claim(service))
    settle()
    client = places["bridge"].start("tcp", service[key], 80)
    wait_for(lambda: door(summond)["woke"] == 1, "its packet at the door", 10)
    summond.wait_state(NAME, "creating", "booting")
    guests.append(adopt_sim_guest(summond, NAME))
    answer = finish(client)
    assert answer["body"] == "hello from a guest\n", answer
    assert answer["retransmissions"] <= summond.sent_again_in_time(NAME)


@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_a_guest_that_goes_takes_nothing_from_its_successor(summond, places, guests, key):
    """Its service was removed and made again, and is awake, when the old guest has gone at last."""
    summond.policy("ring", ready="frame", ready_timeout="60s")
    address = summond.add(NAME, policy="ring", cmdline="sim.stop_delay=2s")[key]
    beside = places["bridge"]
    client = beside.start("tcp", address, 80)
    old = adopt_sim_guest(summond, NAME)
    assert finish(client)["body"]
    old.close()
    gone = f"stopping -> asleep (exited) service={NAME}"
    before = summond.log().count(gone)
    summond.call("DELETE", f"/v1/services/{NAME}")
    service = summond.add(NAME, policy="ring")
    assert service[key] == address
    client = beside.start("tcp", address, 80)
    guests.append(adopt_sim_guest(summond, NAME))
    assert finish(client)["body"]
    wait_for(lambda: summond.log().count(gone) > before, "the old guest to be gone")
    settle()
    known = subprocess.run(beside.command("ip", "neigh", "show", address), capture_output=True,
                           text=True, check=True).stdout
    assert service["mac"] in known, known


def test_the_host_wakes_nothing_by_itself(summond, places, guests):
    """Nor does what it says of devices that go down and up; and then there are the ways again that they
    have lost (test_healing.py)."""
    service = serve(summond, ring_tcp="any", ring_udp="any", ring_ping="yes")
    healed = bell(summond)["healed"]
    ip("link", "set", "summon-bell", "down")
    ip("link", "set", "summon-bell", "up")
    ip("link", "set", "summon0", "down")
    ip("link", "set", "summon0", "up")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        for target in ("255.255.255.255", "224.0.0.251"):
            udp.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"summon-bell")
            udp.sendto(b"noise", (target, 5353))
    wait_for(lambda: bell(summond)["healed"] > healed, "the routes to be there again")
    settle()
    assert summond.state(NAME) == "asleep"
    clients = [place.start("tcp", service[key], 80) for place in places.values()
               for key in ("ipv4", "ipv6")]
    guests.append(adopt_sim_guest(summond, NAME))
    assert {finish(client)["body"] for client in clients} == {"hello from a guest\n"}

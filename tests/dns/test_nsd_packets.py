# SPDX-License-Identifier: ISC
"""What is no proper query: summond and NSD meet it with the same RCODE or the same silence, over UDP
and over TCP, but for what EXCEPTIONS explains."""
import random
import socket
import struct

import pytest
from harness import Summond
from judges import ZONES, Nsd, need

need("nsd")
ZONE = "example.test"
FILE = ZONES / f"{ZONE}.zone"
PORTS = {"summond": 5353, "nsd": 5354}
SILENCE = "silence"
RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
          9: "NOTAUTH", 16: "BADVERS", 23: "BADCOOKIE"}


def name(*labels):
    return b"".join(bytes([len(label)]) + label for label in labels) + b"\0"


MAIL = name(b"mail", b"example", b"test")


def header(flags=0x0100, counts=(1, 0, 0, 0)):
    return struct.pack("!6H", 0x1234, flags, *counts)


def question(owner=MAIL, rdtype=1, rdclass=1):
    return owner + struct.pack("!2H", rdtype, rdclass)


def opt(data=b"", owner=b"\0", version=0, rdtype=41, length=None):
    size = len(data) if length is None else length
    return owner + struct.pack("!HHBBHH", rdtype, 1232, 0, version, 0, size) + data


def option(code, data):
    return struct.pack("!2H", code, len(data)) + data


ADDRESS = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 5, 4) + b"\1\2\3\4"
PACKETS = {
    "a good query": header() + question(),
    "EDNS": header(counts=(1, 0, 0, 1)) + question() + opt(),
    "no question": header(counts=(0, 0, 0, 0)),
    "two questions": header(counts=(2, 0, 0, 0)) + question() + question(rdtype=28),
    "a missing question": header(),
    "an answer in a query": header(counts=(1, 1, 0, 0)) + question() + ADDRESS,
    "an authority in a query": header(counts=(1, 0, 1, 0)) + question() + ADDRESS,
    "QR": header(0x8100) + question(),
    "opcode IQUERY": header(0x0900) + question(),
    "opcode STATUS": header(0x1100) + question(),
    "opcode UPDATE": header(0x2900) + question(rdtype=6),
    "opcode 15": header(0x7900) + question(),
    "TC": header(0x0300) + question(),
    "AA": header(0x0500) + question(),
    "Z": header(0x0140) + question(),
    "AD and CD": header(0x0130) + question(),
    "an RCODE": header(0x0103) + question(),
    "half a header": header()[:7],
    "a header alone": header()[:12],
    "a cut name": header() + MAIL[:7],
    "no type": header() + MAIL,
    "half a class": header() + question()[:-1],
    "a pointer": header() + b"\xc0\x0c" + struct.pack("!2H", 1, 1),
    "a pointer behind a label": header() + b"\4mail\xc0\x0c" + struct.pack("!2H", 1, 1),
    "a pointer forward": header() + b"\xc0\x20" + struct.pack("!2H", 1, 1),
    "a label of type 01": header() + b"\x41x\0" + struct.pack("!2H", 1, 1),
    "a label of type 10": header() + b"\x81x\0" + struct.pack("!2H", 1, 1),
    "a name of 256": header() + question(name(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 62)),
    "a name of 255 elsewhere": header() + question(name(b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 61)),
    "a byte too many": header() + question() + b"\0",
    "many bytes too many": header() + question() + bytes(200),
    "class CH": header() + question(rdclass=3),
    "class HS": header() + question(rdclass=4),
    "class NONE": header() + question(rdclass=254),
    "class ANY": header() + question(rdclass=255),
    "class 0": header() + question(rdclass=0),
    "type 0": header() + question(rdtype=0),
    "type OPT": header() + question(rdtype=41),
    "type TSIG": header() + question(rdtype=250),
    "type TKEY": header() + question(rdtype=249),
    "type MAILA": header() + question(rdtype=254),
    "type MAILB": header() + question(rdtype=253),
    "EDNS version 1": header(counts=(1, 0, 0, 1)) + question() + opt(version=1),
    "EDNS version 255": header(counts=(1, 0, 0, 1)) + question() + opt(version=255),
    "two OPT": header(counts=(1, 0, 0, 2)) + question() + opt() + opt(),
    "OPT with an owner": header(counts=(1, 0, 0, 1)) + question() + opt(owner=b"\1x\0"),
    "OPT in the answer section": header(counts=(1, 1, 0, 0)) + question() + opt(),
    "OPT not counted": header() + question() + opt(),
    "OPT missing": header(counts=(1, 0, 0, 1)) + question(),
    "OPT cut": header(counts=(1, 0, 0, 1)) + question() + opt()[:-2],
    "OPT longer than the packet": header(counts=(1, 0, 0, 1)) + question() + opt(length=9),
    "an option longer than OPT": header(counts=(1, 0, 0, 1)) + question() + opt(b"\0\7\0\5abc"),
    "half an option": header(counts=(1, 0, 0, 1)) + question() + opt(b"\0\7\0"),
    "an unknown option": header(counts=(1, 0, 0, 1)) + question() + opt(option(65001, b"x")),
    "NSID": header(counts=(1, 0, 0, 1)) + question() + opt(option(3, b"")),
    "a record that is no OPT": header(counts=(1, 0, 0, 1)) + question() + ADDRESS,
    "records beyond the end": header(counts=(1, 0, 0, 65535)) + question() + opt(),
}

# What is otherwise: (ours, NSD's over UDP, NSD's over TCP), and why.
EXCEPTIONS = {
    # Over TCP, NSD closes the connection at a message too short for a question.
    "no question": ("FORMERR", "FORMERR", SILENCE),
    "a missing question": ("FORMERR", "FORMERR", SILENCE),
    "a header alone": ("FORMERR", "FORMERR", SILENCE),
    # NSD passes over what is behind a query, unless it was built otherwise.
    "a byte too many": ("FORMERR", "NOERROR", "NOERROR"),
    "many bytes too many": ("FORMERR", "NOERROR", "NOERROR"),
    "OPT not counted": ("FORMERR", "NOERROR", "NOERROR"),
    # NSD takes class ANY for IN; we know no class but IN.
    "class ANY": ("REFUSED", "NOERROR", "NOERROR"),
    # To NSD these are types that no name has; to us they are none that a name can have (RFC 6895
    # section 3.1), or operations that are not offered.
    "type 0": ("FORMERR", "NOERROR", "NOERROR"),
    "type OPT": ("FORMERR", "NOERROR", "NOERROR"),
    "type TSIG": ("REFUSED", "NOERROR", "NOERROR"),
    "type TKEY": ("REFUSED", "NOERROR", "NOERROR"),
    "type MAILA": ("REFUSED", "NOERROR", "NOERROR"),
    "type MAILB": ("REFUSED", "NOERROR", "NOERROR"),
}


@pytest.fixture(scope="module")
def servers():
    summond = Summond(backend="sim", network=False, port=PORTS["summond"],
                      settings={"boot_delay": "300ms"})
    text = summond.config.read_text()
    summond.config.write_text(text.replace(
        'zone "example.test" { ns "ns1" { address = 127.0.0.1 } }',
        f'zone "{ZONE}" {{ file = "{FILE}" }}'))
    nsd = None
    try:
        summond.start()
        summond.add(f"asleep.{ZONE}", ipv4="10.77.0.5")
        nsd = Nsd(PORTS["nsd"], ZONE, FILE)
        yield summond
    finally:
        summond.stop()
        if nsd:
            nsd.stop()


def receive_udp(client):
    return client.recv(65535)


def receive_exactly(client, size):
    data = b""
    while len(data) < size:
        more = client.recv(size - len(data))
        if not more:
            raise ConnectionError
        data += more
    return data


def receive_tcp(client):
    return receive_exactly(client, struct.unpack("!H", receive_exactly(client, 2))[0])


def meaning(answer):
    rcode = answer[3] & 15
    counts = struct.unpack("!4H", answer[4:12])
    # An OPT without options is at the end where there is one; its upper RCODE bits count.
    if counts[3] and answer[-11:-8] == b"\0\0\x29":
        rcode |= answer[-6] << 4
    return RCODES.get(rcode, rcode)


def exchange(server, packet, tcp):
    """What the server makes of the packet; silence is known from the answer to a query after it."""
    after = b"\x77\x77" + (header() + question())[2:]
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM) as client:
        client.settimeout(20)
        client.connect(("127.0.0.1", PORTS[server]))
        receive = receive_tcp if tcp else receive_udp
        try:
            for one in (packet, after):
                client.sendall((struct.pack("!H", len(one)) if tcp else b"") + one)
            answer = receive(client)
        except ConnectionError:
            answer = b""
        # Some close a connection that speaks nonsense, which says no more than silence.
        return SILENCE if answer[:2] in (b"\x77\x77", b"") else meaning(answer)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("what", PACKETS)
def test_the_same_as_nsd(servers, what, tcp):
    ours, theirs = (exchange(server, PACKETS[what], tcp) for server in ("summond", "nsd"))
    if what in EXCEPTIONS:
        assert (ours, theirs) == (EXCEPTIONS[what][0], EXCEPTIONS[what][2 if tcp else 1])
    else:
        assert ours == theirs


def exchange_and_close(server, packets, rest=b""):
    """The answers to a client that sends no more after these, but still reads, in the order of ids;
    fails where the server does not close the connection after them."""
    with socket.create_connection(("127.0.0.1", PORTS[server]), timeout=20) as client:
        client.sendall(b"".join(struct.pack("!H", len(one)) + one for one in packets) + rest)
        client.shutdown(socket.SHUT_WR)
        answers = []
        while True:
            try:
                answers.append(receive_tcp(client))
            except ConnectionError:
                return sorted((answer[:2], meaning(answer)) for answer in answers)


def numbered(*questions):
    return [struct.pack("!H", number) + (header() + one)[2:]
            for number, one in enumerate(questions)]


HALF_CLOSED = {
    "one query": (numbered(question()), b""),
    "many queries": (numbered(*[question()] * 300), b""),
    "answers larger than the buffer": (numbered(*[question(name(b"example", b"test"), 2)] * 3000), b""),
    "half a length behind": (numbered(question()), b"\0"),
    "half a query behind": (numbered(question()), b"\0\x40half"),
}


@pytest.mark.parametrize("what", HALF_CLOSED)
def test_who_sends_no_more_is_answered(servers, what):
    ours, theirs = (exchange_and_close(server, *HALF_CLOSED[what]) for server in ("summond", "nsd"))
    assert ours == theirs and len(ours) == len(HALF_CLOSED[what][0])


def test_who_sends_no_more_waits_for_a_service(servers):
    asleep = question(name(b"asleep", b"example", b"test"))
    answers = exchange_and_close("summond", numbered(asleep, question(), asleep))
    assert [rcode for _, rcode in answers] == ["NOERROR"] * 3
    assert servers.summons(f"asleep.{ZONE}")


def mutate(rng, packet):
    """One or more changes anywhere but in the id."""
    packet = bytearray(packet)
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        at = rng.randrange(2, max(3, len(packet)))
        kind = rng.randrange(5)
        if kind == 0 and at < len(packet):
            packet[at] = rng.choice((0, 1, 0x29, 0x3f, 0x40, 0xc0, 0xff, rng.randrange(256)))
        elif kind == 1 and at < len(packet):
            packet[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            del packet[at:at + rng.randint(1, 4)]
        elif kind == 3:
            packet[at:at] = rng.randbytes(rng.randint(1, 4))
        elif rng.random() < 0.3:
            del packet[at:]
    return bytes(packet)


def test_packets_at_random(servers):
    """Whatever summond takes for a query, NSD takes for the same one; and summond is silent only where
    NSD is. That it takes less for a query is explained above."""
    rng = random.Random(9619)
    known = sorted(PACKETS) + len(PACKETS) * ["a good query", "EDNS", "NSID", "an unknown option"]
    taken = silent = 0
    for _ in range(3000):
        packet = mutate(rng, PACKETS[rng.choice(known)])
        ours = exchange("summond", packet, tcp=False)
        if ours in ("NOERROR", "NXDOMAIN"):
            taken += 1
            assert exchange("nsd", packet, tcp=False) == ours, packet.hex()
        elif ours == SILENCE:
            silent += 1
            assert exchange("nsd", packet, tcp=False) == SILENCE, packet.hex()
    assert taken > 200 and silent > 100, (taken, silent)

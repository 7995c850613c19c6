# SPDX-License-Identifier: ISC
"""A real NSD is a secondary of summond: it takes the zone, hears of changes, and is refused without
the key. Other programs try what it does not."""
import base64
import shutil
import signal
import socket
import struct
import subprocess
import time

import pytest
from harness import Summond, wait_for
from judges import ZONES, Nsd, need

dns = pytest.importorskip("dns", reason="python3-dnspython is not installed")
import dns.exception  # noqa: E402
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rcode  # noqa: E402
import dns.tsig  # noqa: E402
import dns.tsigkeyring  # noqa: E402
import dns.zone  # noqa: E402

need("nsd")
ZONE = "example.test"
SECRET = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()
NSD = 5354
KEY = "xfr.key"


@pytest.fixture(scope="module")
def summond():
    daemon = Summond(backend="sim", network=False)
    daemon.file = daemon.folder / "zone"
    shutil.copy(ZONES / f"{ZONE}.zone", daemon.file)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('ns "ns1" { address = 127.0.0.1 }', f"""
        file = "{daemon.file}"
        transfer = [{KEY}]
        notify = ["127.0.0.1@{NSD}"]
    """) + f"""
tsig "{KEY}" {{ secret = "{SECRET}" }}
tsig "other.key" {{ secret = "{SECRET}" }}
zone "plain.test" {{ ns "ns1" {{ address = 127.0.0.1 }} }}
zone "signed.test" {{ ns "ns1" {{ address = 127.0.0.1 }}; transfer = [{KEY}] }}
zone "denied.test" {{ ns "ns1" {{ address = 127.0.0.1 }}; transfer = [{KEY}]; deny = [127.0.0.1] }}
zone "allowed.test" {{ ns "ns1" {{ address = 127.0.0.1 }}; transfer = [{KEY}]; allow = [127.0.0.1] }}
""")
    with daemon.start():
        daemon.ctl("key", "add", "signed.test")
        yield daemon


def serial(port):
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+time=1",
                           ZONE, "SOA"], capture_output=True, text=True, check=False)
    words = done.stdout.split()
    return int(words[2]) if len(words) > 2 and words[2].isdigit() else None


def text(port, name):
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(port), "+short", f"{name}.{ZONE}", "TXT"],
                          capture_output=True, text=True, check=True)
    return done.stdout.strip()


def change(summond, number, line):
    before = summond.file.read_text().split("SOA")[1].split()[2]
    summond.file.write_text(summond.file.read_text().replace(before, str(number)) + line)
    summond.process.send_signal(signal.SIGHUP)


def test_nsd_is_a_secondary(summond):
    nsd = Nsd(NSD, ZONE, extra=f"""
key:
    name: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
zone:
    name: {ZONE}
    zonefile: zone
    request-xfr: AXFR 127.0.0.1@{summond.port} {KEY}
    allow-notify: 127.0.0.1 NOKEY
""")
    try:
        wait_for(lambda: serial(NSD) == 2026010100, "NSD to have the zone")
        assert text(NSD, "a.b.c.d") == text(summond.port, "a.b.c.d") == '"deep"'
        # It hears of a change: its own look would be an hour away.
        change(summond, 2026010101, 'news TXT "first"\n')
        wait_for(lambda: serial(NSD) == 2026010101, "NSD to hear of the change")
        assert text(NSD, "news") == '"first"'
    finally:
        nsd.stop()


def test_a_secondary_that_was_away_is_told_again(summond):
    change(summond, 2026010102, 'again TXT "x"\n')
    wait_for(lambda: serial(summond.port) == 2026010102, "the zone to change")
    time.sleep(0.2)
    test = Nsd(NSD, ZONE, extra=f"""
key:
    name: {KEY}
    algorithm: hmac-sha256
    secret: {SECRET}
zone:
    name: {ZONE}
    zonefile: zone
    request-xfr: AXFR 127.0.0.1@{summond.port} {KEY}
    allow-notify: 127.0.0.1 NOKEY
""")
    try:
        wait_for(lambda: "notify" in (test.folder / "log").read_text(), "a notify to come again")
    finally:
        test.stop()


def keyring(name=KEY, secret=SECRET):
    return dns.tsigkeyring.from_text({name: secret})


def transfer(summond, zone=ZONE, **how):
    return list(dns.query.xfr("127.0.0.1", zone, port=summond.port, timeout=20, relativize=False,
                              **{"keyring": keyring(), "keyalgorithm": dns.tsig.HMAC_SHA256, **how}))


def test_the_whole_zone_comes(summond):
    messages = transfer(summond)
    ours = dns.zone.from_xfr(messages, relativize=False)
    theirs = dns.zone.from_text(summond.file.read_text(), ZONE, relativize=False)
    assert ours == theirs
    assert all(message.had_tsig for message in messages)


def additional_counts(summond, message, count):
    """ARCOUNT of the first messages that come."""
    counts = []
    wire = message.to_wire()
    with socket.create_connection(("127.0.0.1", summond.port), timeout=20) as client:
        client.sendall(struct.pack(">H", len(wire)) + wire)
        while len(counts) < count:
            size, = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))
            counts += struct.unpack(">H", client.recv(size, socket.MSG_WAITALL)[10:12])
    return counts


def with_edns(message, version=0):
    message.use_edns(version, dns.flags.DO, 4096)
    return message


def test_who_speaks_edns_is_answered_so(summond):
    refused = (query("none.test"), query(key=None))
    for message in (query(), ixfr(serial(summond.port)), *refused):
        assert ask(summond, message).edns == -1
        answer = ask(summond, with_edns(message))
        assert (answer.edns, answer.ednsflags & dns.flags.DO) == (0, dns.flags.DO), answer
    assert ask_udp(summond, with_edns(ixfr(1))).edns == 0
    assert ask(summond, with_edns(query(), 1)).rcode() == dns.rcode.BADVERS


def test_a_large_zone_comes_in_many_messages(summond):
    before = summond.file.read_text()
    lines = "".join(f"many{i} TXT {'x' * 200}\n" for i in range(20000))
    change(summond, 2026010110, lines)
    wait_for(lambda: serial(summond.port) == 2026010110, "the large zone")
    messages = transfer(summond)
    assert len(messages) > 100
    # TSIG is in each, an OPT in the first alone.
    assert additional_counts(summond, with_edns(query()), 3) == [2, 1, 1]
    assert additional_counts(summond, query(), 2) == [1, 1]
    assert sum(len(rrset) for message in messages for rrset in message.answer) > 20000
    # A change in the middle of a transfer does not reach into it.
    stream = dns.query.xfr("127.0.0.1", ZONE, port=summond.port, timeout=20, relativize=False,
                           keyring=keyring(), keyalgorithm=dns.tsig.HMAC_SHA256)
    first = next(stream)
    summond.file.write_text(before.replace("2026010102", "2026010111"))
    summond.process.send_signal(signal.SIGHUP)
    wait_for(lambda: serial(summond.port) == 2026010111, "the small zone")
    rest = list(stream)
    assert rest[-1].answer[-1][0].serial == first.answer[0][0].serial == 2026010110


def ask(summond, query):
    return dns.query.tcp(query, "127.0.0.1", port=summond.port, timeout=20)


def query(zone=ZONE, rdtype="AXFR", key=KEY, secret=SECRET, algorithm=dns.tsig.HMAC_SHA256):
    message = dns.message.make_query(zone, rdtype)
    message.flags = 0
    if key:
        message.use_tsig(keyring(key, secret), algorithm=algorithm)
    return message


def test_who_has_no_right_is_refused(summond):
    assert ask(summond, query(key=None)).rcode() == dns.rcode.REFUSED
    assert ask(summond, query(key="other.key")).rcode() == dns.rcode.REFUSED
    assert ask(summond, query("plain.test")).rcode() == dns.rcode.REFUSED
    assert ask(summond, query("signed.test")).rcode() == dns.rcode.REFUSED
    assert ask(summond, query("nothing.test")).rcode() == dns.rcode.NOTAUTH
    # The key is not enough where the network may not ask; nor is the network without the key.
    assert ask(summond, query("denied.test")).rcode() == dns.rcode.REFUSED
    assert ask(summond, query("denied.test", "SOA")).rcode() == dns.rcode.REFUSED
    assert ask(summond, query("allowed.test", key=None)).rcode() == dns.rcode.REFUSED
    assert len(ask(summond, query("allowed.test")).answer) > 1
    # Over UDP there are no transfers.
    answer = dns.query.udp(query(key=None), "127.0.0.1", port=summond.port, timeout=20)
    assert answer.rcode() == dns.rcode.REFUSED and not answer.answer


def raw(summond, message):
    """The RCODE, and error, MAC and other data of the TSIG, of the answer to a signed query."""
    wire = message.to_wire()
    with socket.create_connection(("127.0.0.1", summond.port), timeout=20) as client:
        client.sendall(struct.pack(">H", len(wire)) + wire)
        size = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
        answer = client.recv(size, socket.MSG_WAITALL)
    at = 12
    for _ in range(struct.unpack(">H", answer[4:6])[0]):
        while answer[at]:
            at += 1 + answer[at]
        at += 5
    while answer[at]:
        at += 1 + answer[at]
    at += 11
    while answer[at]:
        at += 1 + answer[at]
    at += 1
    mac = struct.unpack(">H", answer[at + 8:at + 10])[0]
    error, other = struct.unpack(">HH", answer[at + 12 + mac:at + 16 + mac])
    return answer[3] & 15, error, mac, other


@pytest.mark.parametrize("how, error, mac, other", [
    ({"secret": OTHER}, 16, 0, 0),
    ({"key": "unknown.key"}, 17, 0, 0),
    ({"algorithm": dns.tsig.HMAC_SHA512}, 17, 0, 0),
], ids=["BADSIG", "BADKEY", "algorithm"])
def test_errors_of_signatures(summond, how, error, mac, other):
    assert raw(summond, query(**how)) == (9, error, mac, other)


def test_errors_of_time(summond, monkeypatch):
    real = time.time
    for away in (-3600, 3600):
        monkeypatch.setattr(time, "time", lambda away=away: real() + away)
        assert raw(summond, query()) == (9, 18, 32, 6)
    monkeypatch.undo()
    assert ask(summond, query()).rcode() == dns.rcode.NOERROR


def ixfr(number):
    message = dns.message.make_query(ZONE, "IXFR")
    message.flags = 0
    message.authority.append(dns.rrset.from_text(ZONE + ".", 0, "IN", "SOA",
                                                 f". . {number} 0 0 0 0"))
    message.use_tsig(keyring(), algorithm=dns.tsig.HMAC_SHA256)
    return message


def test_ixfr_is_the_whole_zone_or_nothing(summond):
    now = serial(summond.port)
    same = ask(summond, ixfr(now))
    assert same.rcode() == 0 and [len(rrset) for rrset in same.answer] == [1]
    older = ask(summond, ixfr(now - 1))
    assert older.rcode() == 0 and sum(len(rrset) for rrset in older.answer) > 40


def ask_udp(summond, message):
    return dns.query.udp(message, "127.0.0.1", port=summond.port, timeout=20)


def test_ixfr_over_udp_is_the_serial(summond):
    now = serial(summond.port)
    for number in (now, now - 1):
        answer = ask_udp(summond, ixfr(number))
        assert answer.had_tsig and answer.rcode() == 0 and len(answer.answer) == 1
        assert answer.answer[0][0].serial == now
    # AXFR is for TCP alone.
    answer = ask_udp(summond, query())
    assert answer.had_tsig and answer.rcode() == dns.rcode.REFUSED and not answer.answer


@pytest.mark.parametrize("ask_it", [ask, ask_udp], ids=["tcp", "udp"])
def test_any_query_may_be_signed(summond, ask_it):
    for name, rdtype, rcode in ((ZONE, "SOA", 0), (f"a.b.c.d.{ZONE}", "TXT", 0),
                                ("nope.plain.test", "A", dns.rcode.NXDOMAIN),
                                ("example.net", "A", dns.rcode.REFUSED)):
        # dnspython verifies the answer.
        for key in (KEY, "other.key"):
            answer = ask_it(summond, query(name, rdtype, key))
            assert answer.had_tsig and answer.rcode() == rcode, (name, answer)


@pytest.mark.parametrize("program", ["dig", "kdig"])
@pytest.mark.parametrize("over", ["+notcp", "+tcp"])
def test_clients_verify_what_is_signed(summond, program, over):
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    done = subprocess.run([program, "-p", str(summond.port), "@127.0.0.1", "+norec", over, "-y",
                           f"hmac-sha256:{KEY}:{SECRET}", ZONE, "SOA"], capture_output=True,
                          text=True, check=False)
    said = done.stdout + done.stderr
    assert "NOERROR" in said and "TSIG" in said and str(serial(summond.port)) in said, said
    for complaint in ("BAD", "could not be validated", "TSIG error", "WARNING", "not verified"):
        assert complaint not in said, said


def test_bad_transfer_queries_are_malformed(summond):
    message = query()
    wire = bytearray(message.to_wire())
    cases = [wire[:-1], wire + b"\0", wire[:6] + b"\0\1" + wire[8:]]
    for case in cases:
        with socket.create_connection(("127.0.0.1", summond.port), timeout=20) as client:
            client.sendall(struct.pack(">H", len(case)) + bytes(case))
            size = struct.unpack(">H", client.recv(2, socket.MSG_WAITALL))[0]
            assert client.recv(size, socket.MSG_WAITALL)[3] & 15 == 1, case

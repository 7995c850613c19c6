# SPDX-License-Identifier: ISC
"""summond and NSD serve the same zone file: what a client sees of both is the same, but for what
EXCEPTIONS names."""
import random

import pytest
from harness import Summond
from judges import ZONES, Nsd, need

dns = pytest.importorskip("dns", reason="python3-dnspython is not installed")
import dns.flags  # noqa: E402
import dns.message  # noqa: E402
import dns.query  # noqa: E402
import dns.rdatatype  # noqa: E402
import dns.rrset  # noqa: E402

need("nsd")
ZONE = "example.test"
FILE = ZONES / f"{ZONE}.zone"
OURS, THEIRS = 5353, 5354

NAMES = """@ ns1 mail host below empty.below x.below d c.d b.c.d a.b.c.d z.a.b.c.d dot\\.ted upper UPPER
alias chain1 chain2 chain3 nowhere outside loop1 loop2 into towild wild *.wild x.wild x.y.wild
known.wild x.known.wild known2.wild x.known2.wild deep.known2.wild wildalias x.wildalias
_tcp _imap._tcp _443._tcp.mail * nothing some.thing sub ns.sub www.sub x.y.sub other ns.other
x.other far www.far large gone
xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx""".split()
TYPES = """A AAAA NS SOA MX TXT CNAME SRV CAA PTR DS HINFO TLSA SSHFP HTTPS SVCB TYPE65280 TYPE4711
DNSKEY NAPTR""".split()


@pytest.fixture(scope="module")
def servers():
    config = f'zone "{ZONE}" {{ file = "{FILE}" }}'
    summond = Summond(backend="sim", network=False, port=OURS)
    text = summond.config.read_text()
    summond.config.write_text(text.replace(
        'zone "example.test" { ns "ns1" { address = 127.0.0.1 } }', config))
    nsd = None
    try:
        summond.start()
        nsd = Nsd(THEIRS, ZONE, FILE)
        yield summond, nsd
    finally:
        summond.stop()
        if nsd:
            nsd.stop()


def ask(port, name, rdtype, tcp=False, payload=1232, dnssec=False):
    owner = ZONE if name == "@" else f"{name}.{ZONE}"
    query = dns.message.make_query(f"{owner}.", rdtype, use_edns=0 if payload else -1,
                                   payload=payload, want_dnssec=dnssec)
    query.flags &= ~dns.flags.RD
    where = dns.query.tcp if tcp else dns.query.udp
    return where(query, "127.0.0.1", port=port, timeout=20, ignore_trailing=False)


def records(section):
    """Every record of a section as text, in an order of our own."""
    return sorted(f"{rrset.name.to_text().lower()} {rrset.ttl} {rdata.rdtype} {rdata.to_text().lower()}"
                  for rrset in section for rdata in rrset)


def seen(answer):
    flags = dns.flags.to_text(answer.flags & ~dns.flags.TC)
    return {"rcode": answer.rcode(), "flags": flags, "tc": bool(answer.flags & dns.flags.TC),
            "answer": records(answer.answer), "authority": records(answer.authority),
            "additional": records(answer.additional)}


def is_loop(ours, theirs, _):
    """NSD goes round a loop of aliases once; so do we, but may stop elsewhere."""
    return "loop" in str(theirs["answer"]) and ours["rcode"] == theirs["rcode"]


def ends_in_delegation(ours, theirs, _):
    """A chain of aliases that ends in a delegation: NSD refers the client as well, which asks anew
    in any case."""
    return (ours["answer"] == theirs["answer"] and ours["answer"] and not ours["authority"]
            and ours["rcode"] == theirs["rcode"] and ours["flags"] == theirs["flags"])


def helps(ours, theirs, _):
    """With the NS records of the zone go the addresses of its servers, which NSD leaves out."""
    return all(ours[part] == theirs[part] for part in ("rcode", "flags", "tc", "answer", "authority")
               ) and not theirs["additional"] and " 2 " in str(ours["answer"])


def truncated(ours, theirs, _):
    """NSD leaves the records that fit in a truncated answer; we leave none."""
    return ours["tc"] and theirs["tc"] and ours["rcode"] == theirs["rcode"]


EXCEPTIONS = [is_loop, ends_in_delegation, helps, truncated]


def compare(name, rdtype, **how):
    ours, theirs = (seen(ask(port, name, rdtype, **how)) for port in (OURS, THEIRS))
    if ours != theirs and not any(fits(ours, theirs, name) for fits in EXCEPTIONS):
        return f"{name} {rdtype} {how}:\n  summond {ours}\n  NSD     {theirs}"
    return None


@pytest.mark.parametrize("how", [{}, {"payload": 0}, {"tcp": True}, {"payload": 4096},
                                 {"dnssec": True}], ids=str)
def test_every_name_and_type(servers, how):
    wrong = [compare(name, rdtype, **how) for name in NAMES for rdtype in TYPES]
    assert not [line for line in wrong if line], "\n".join(line for line in wrong if line)


def test_random_names_and_types(servers):
    draw = random.Random(5)
    wrong = []
    for _ in range(2000):
        labels = [draw.choice(["a", "x", "*", "wild", "sub", "host", "known", "below", "alias"])
                  for _ in range(draw.randrange(1, 4))]
        name = ".".join(labels + draw.choice([[], [draw.choice(NAMES[1:])]]))
        rdtype = draw.choice(TYPES + [f"TYPE{draw.randrange(256, 65000)}"])
        wrong.append(compare(name, rdtype))
    assert not [line for line in wrong if line], "\n".join(line for line in wrong if line)

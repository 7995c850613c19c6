# SPDX-License-Identifier: ISC
"""A signed zone as dig, drill and kdig see it: the same records, and what kdig's options ask for."""
import re
import subprocess

import pytest
from harness import Summond
from judges import ZONES, need

need("dig", "drill", "kdig")
ZONE = "example.test"
FILE = ZONES / f"{ZONE}.zone"
NAMES = [("", "SOA"), ("", "DNSKEY"), ("", "NS"), ("www", "A"), ("chain1", "A"), ("no.such.host", "A"),
         ("some.name.wild", "TXT"), ("x", "TYPE65280"), ("host", "HTTPS"), ("far", "DS"),
         ("sub", "DS"), ("", "CDS")]


@pytest.fixture(scope="module")
def summond():
    daemon = Summond(backend="sim", network=False)
    text = daemon.config.read_text().replace('ns "ns1" { address = 127.0.0.1 }', f'file = "{FILE}"')
    daemon.config.write_text(text + '\ndns { identity = "one" }\n')
    with daemon.start():
        daemon.add(f"www.{ZONE}", ipv4="10.77.0.5")
        daemon.ctl("key", "add", ZONE)
        yield daemon


def run(*words):
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return done.stdout


def kdig(summond, *words):
    return run("kdig", "@127.0.0.1", "-p", str(summond.port), "+retry=0", "+timeout=20", *words)


def ask(program, summond, name, rdtype, tcp):
    """The RCODE, and the owner and type of every record, in which section it may be."""
    port = str(summond.port)
    if program == "drill":
        text = run("drill", *(["-t"] if tcp else []), "-D", "-p", port, name, rdtype, "@127.0.0.1")
    else:
        over = "+tcp" if tcp else "+notcp"
        text = run(program, "@127.0.0.1", "-p", port, over, "+dnssec", name, rdtype)
    rcode = re.search(r"(?:rcode|status): (\w+)", text).group(1)
    records = re.findall(r"^([^;\s]\S*)\s+\d+\s+(?:IN|CLASS1)\s+(\S+)\s", text, re.M)
    return rcode, sorted((owner.lower(), rdtype) for owner, rdtype in records)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
@pytest.mark.parametrize("name, rdtype", NAMES)
def test_all_see_the_same(summond, name, rdtype, tcp):
    full = f"{name}.{ZONE}." if name else f"{ZONE}."
    seen = {program: ask(program, summond, full, rdtype, tcp) for program in ("dig", "drill", "kdig")}
    assert seen["dig"] == seen["kdig"] == seen["drill"]
    rcode, records = seen["kdig"]
    assert rcode == "NOERROR" and "RRSIG" in [rdtype for _, rdtype in records]


def test_nsid(summond):
    assert 'NSID: 6F6E65 "one"' in kdig(summond, "+nsid", ZONE, "SOA")
    assert "NSID" not in kdig(summond, "+dnssec", ZONE, "SOA")


def cookie(text):
    return re.search(r"COOKIE: ([0-9A-F]+)", text).group(1)


def test_a_cookie_comes_and_is_taken(summond):
    def good():
        return summond.get("/v1/status")["counters"]["dns"]["cookies_good"]

    first = cookie(kdig(summond, "+cookie=0102030405060708", ZONE, "SOA"))
    assert len(first) == 48 and first.startswith("0102030405060708")
    before = good()
    again = cookie(kdig(summond, f"+cookie={first}", ZONE, "SOA"))
    assert again.startswith("0102030405060708") and good() == before + 1


def test_keepalive_is_for_tcp(summond):
    assert ";; Option (11): 0064" in kdig(summond, "+tcp", "+ednsopt=11", ZONE, "SOA")
    assert "Option (11)" not in kdig(summond, "+notcp", "+ednsopt=11", ZONE, "SOA")


def test_one_connection_for_many_queries(summond):
    before = summond.get("/v1/status")["counters"]["dns"]
    text = kdig(summond, "+tcp", "+keepopen", ZONE, "SOA", ZONE, "NS", f"www.{ZONE}", "A")
    after = summond.get("/v1/status")["counters"]["dns"]
    assert text.count("status: NOERROR") == 3
    assert after["tcp_connections"] - before["tcp_connections"] == 1
    assert after["tcp_queries"] - before["tcp_queries"] == 3


@pytest.mark.parametrize("option", ["+padding=128", "+alignment", "+subnet=192.0.2.0/24", "+expire",
                                    "+ednsopt=65001:abcd"],
                         ids=lambda option: option.split("=")[0])
def test_options_of_no_meaning_here_are_passed_over(summond, option):
    """Padding is for encrypted transports, and nothing is tailored to a network."""
    text = kdig(summond, option, ZONE, "SOA")
    assert "status: NOERROR" in text and "EDNS PSEUDOSECTION" in text
    for said in ("PADDING", "CLIENT-SUBNET", "EXPIRE", "Option"):
        assert said not in text, text


def test_versions_of_edns(summond):
    text = kdig(summond, "+edns=1", ZONE, "SOA")
    assert "status: BADVERS" in text and "Version: 0" in text and "ANSWER: 0" in text


def test_what_does_not_fit_is_asked_over_tcp(summond):
    words = ("+bufsize=512", "+dnssec", f"chain1.{ZONE}", "A")
    cut = kdig(summond, "+ignore", *words)
    assert "Flags: qr aa tc rd;" in cut and "ANSWER: 0;" in cut
    whole = kdig(summond, *words)
    assert "Flags: qr aa rd;" in whole and "(TCP)" in whole and "ANSWER: 8;" in whole


def test_explanations(summond):
    text = kdig(summond, "+edns", "example.net", "A")
    assert "status: REFUSED" in text
    assert "EDE: 20 (Not Authoritative): 'not in a zone of this server'" in text

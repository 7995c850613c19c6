# SPDX-License-Identifier: ISC
"""A zone that is signed by summonctl, validated by other people's programs from the DS down."""
import json
import os
import re
import stat
import subprocess

import pytest
from harness import Summond
from judges import ZONES, need

ZONE = "example.test"
FILE = ZONES / f"{ZONE}.zone"


@pytest.fixture(scope="module")
def summond():
    daemon = Summond(backend="sim", network=False)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('ns "ns1" { address = 127.0.0.1 }', f'file = "{FILE}"'))
    with daemon.start():
        daemon.add(f"www.{ZONE}", ipv4="10.77.0.5")
        daemon.ctl("key", "add", ZONE)
        yield daemon


def zone(summond):
    return json.loads(summond.ctl("--json", "key", "list", ZONE).stdout)


def delv(summond, name, rdtype, anchors=None):
    """What delv says of an answer that it validates from the DS of the zone."""
    need("delv")
    anchor = summond.folder / "anchor"
    lines = []
    for ds in anchors or [key["ds"] for key in zone(summond)["keys"]]:
        owner, _, _, tag, algorithm, kind, digest = ds.split()
        lines.append(f'{owner} static-ds {tag} {algorithm} {kind} "{digest}";')
    anchor.write_text("trust-anchors {\n" + "\n".join(lines) + "\n};\n")
    done = subprocess.run(["delv", "@127.0.0.1", "-p", str(summond.port), "-a", anchor,
                           f"+root={ZONE}", name, rdtype, "+multiline"],
                          capture_output=True, text=True, timeout=60, check=False)
    return done.stdout + done.stderr


@pytest.mark.parametrize("name, rdtype, says", [
    ("www", "A", "fully validated"), ("", "SOA", "fully validated"),
    ("", "DNSKEY", "fully validated"), ("", "CDS", "fully validated"),
    ("chain1", "A", "fully validated"), ("some.name.wild", "TXT", "fully validated"),
    ("x", "TYPE65280", "negative response, fully validated"),
    ("www", "AAAA", "negative response, fully validated"),
    ("host", "HTTPS", "fully validated"), ("d", "A", "negative response, fully validated"),
    ("no.such.host", "A", "negative response, fully validated"),
    ("sub", "DS", "fully validated"), ("far", "DS", "negative response, fully validated"),
])
def test_delv_validates(summond, name, rdtype, says):
    full = f"{name}.{ZONE}." if name else f"{ZONE}."
    text = delv(summond, full, rdtype)
    assert says in text, text


def test_drill_chases_no_bad_signature(summond):
    need("drill")
    keyfile = summond.folder / "ksk"
    done = subprocess.run(["drill", "-p", str(summond.port), ZONE, "DNSKEY", "@127.0.0.1"],
                          capture_output=True, text=True, timeout=60, check=True)
    [key] = [line for line in done.stdout.splitlines() if "\tDNSKEY\t" in line]
    keyfile.write_text(key.split(";")[0] + "\n")
    for name, rdtype in (("www", "A"), ("mail", "TXT"), ("www", "TXT")):
        done = subprocess.run(["drill", "-p", str(summond.port), "-D", "-k", keyfile,
                               f"{name}.{ZONE}", rdtype, "@127.0.0.1"],
                              capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0 and "bogus" not in done.stdout.lower(), done.stdout


def test_the_same_asleep_and_awake(summond):
    def answer():
        done = subprocess.run(["dig", "@127.0.0.1", "-p", str(summond.port), "+dnssec", "+noall",
                               "+answer", f"asleep.{ZONE}"], capture_output=True, text=True, check=True)
        return done.stdout
    summond.add(f"asleep.{ZONE}", ipv4="10.77.0.9")
    assert summond.state(f"asleep.{ZONE}") == "asleep"
    first = answer()
    assert "RRSIG" in first and summond.state(f"asleep.{ZONE}") == "awake"
    assert answer() == first
    assert "fully validated" in delv(summond, f"asleep.{ZONE}.", "A")


def test_files_are_the_daemons_own(summond):
    folder = summond.folder / "state" / "keys"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    [key] = folder.glob("*.pem")
    assert stat.S_IMODE(key.stat().st_mode) == 0o600 and key.stat().st_uid == os.getuid()


def test_a_key_takes_the_place_of_another(summond):
    [old] = zone(summond)["keys"]
    said = summond.ctl("key", "add", ZONE).stdout
    keys = zone(summond)["keys"]
    assert [key["state"] for key in keys] == ["active", "published"]
    new = keys[1]
    assert old["ds"] in said and new["ds"] in said
    # Whichever of the two DS a validator knows.
    for ds in (old["ds"], new["ds"]):
        assert "fully validated" in delv(summond, f"www.{ZONE}.", "A", [ds])
    done = summond.ctl("key", "remove", ZONE, old["tag"], check=False)
    assert done.returncode == 1 and "activate another one first" in done.stderr
    summond.ctl("key", "activate", ZONE, new["tag"])
    text = summond.dig(f"www.{ZONE}", "+dnssec").text
    assert re.search(rf"RRSIG.* {new['tag']} {ZONE}", text), text
    for ds in (old["ds"], new["ds"]):
        assert "fully validated" in delv(summond, f"www.{ZONE}.", "A", [ds])
    summond.ctl("key", "remove", ZONE, old["tag"])
    assert "fully validated" in delv(summond, f"www.{ZONE}.", "A", [new["ds"]])
    assert "fully validated" not in delv(summond, f"www.{ZONE}.", "A", [old["ds"]])


def test_keys_outlive_a_restart(summond):
    before = zone(summond)["keys"]
    summond.kill()
    summond.start()
    assert zone(summond)["keys"] == before
    assert summond.ctl("key", "ds", ZONE).stdout.strip() == before[0]["ds"]


def test_mistakes_are_explained(summond):
    for words, code, says in (
            (("key", "list", "other.test"), 3, "there is no zone 'other.test'"),
            (("key", "add", "other.test"), 3, "there is no zone"),
            (("key", "activate", ZONE, "99999"), 3, "not the tag of a key"),
            (("key", "activate", ZONE, "x"), 2, "not the tag of a key"),
            (("key", "remove", ZONE, zone(summond)["keys"][0]["tag"]), 1, "take its DS out")):
        done = summond.ctl(*words, check=False)
        assert (done.returncode, says in done.stderr) == (code, True), done


def test_a_zone_can_be_unsigned(summond):
    [key] = zone(summond)["keys"]
    assert "not signed any more" in summond.ctl("key", "remove", ZONE, key["tag"], "--unsign").stdout
    assert "RRSIG" not in summond.dig(f"www.{ZONE}", "+dnssec").text
    assert not list((summond.folder / "state" / "keys").iterdir())
    summond.ctl("key", "add", ZONE)
    assert "RRSIG" in summond.dig(f"www.{ZONE}", "+dnssec").text

# SPDX-License-Identifier: ISC
"""The DNS as a resolver sees it, small: a signed root and a signed top-level domain, served by NSD,
and beneath them a signed zone of summond's, all at port 53 of addresses that nobody calls private."""
import ipaddress
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import Summond
from judges import Nsd

PARENT = "test"
ZONE = f"example.{PARENT}"
# Each server has an IPv4 and an IPv6 address, in networks of its own.
ROOT = [("a.root", "9.10.0.1", "2620:10::1"), ("b.root", "9.11.0.1", "2620:11::1")]
PARENTS = [("a.nic.test", "9.20.0.1", "2620:20::1"), ("b.nic.test", "9.21.0.1", "2620:21::1")]
OURS = [(f"ns1.{ZONE}", "9.30.0.1", "2620:30::1"), (f"ns2.{ZONE}", "9.31.0.1", "2620:31::1")]
ZONE_FILE = """$TTL 3600
@ SOA ns1 hostmaster 2026010100 14400 3600 1209600 300
  MX 10 mail
  TXT "v=spf1 -all"
mail A 9.30.0.25
*.wild TXT "any"
alias CNAME mail
"""
# Where zonemaster asks which network announces an address.
NETWORKS = "asnlookup.zonemaster.net"


def soa(primary):
    return f"@ SOA {primary}. hostmaster.{primary}. 1 14400 3600 1209600 300"


def servers(zone, which, glue=True):
    lines = []
    for name, ipv4, ipv6 in which:
        lines += [f"{zone}. NS {name}."]
        lines += [f"{name}. A {ipv4}", f"{name}. AAAA {ipv6}"] if glue else []
    return lines


def reverse(which):
    return [f"{ipaddress.ip_address(address).reverse_pointer}. PTR {name}."
            for name, *both in which for address in both]


def networks():
    """Each server is in a network of its own."""
    lines = [soa("a.root"), *servers(NETWORKS, ROOT, glue=False)]
    for number, (_, *both) in enumerate(ROOT + PARENTS + OURS):
        for address in map(ipaddress.ip_address, both):
            owner = address.reverse_pointer.replace("in-addr.arpa", "origin")
            owner = owner.replace("ip6.arpa", "origin6")
            bits = 16 if address.version == 4 else 32
            net = ipaddress.ip_network(f"{address}/{bits}", strict=False)
            lines.append(f'{owner} TXT "{64500 + number} | {net} | ZZ | none | 2026-01-01"')
    return lines


class Hierarchy:
    """`anchor` is the file with the root's DNSKEY; `hints`, the one with its servers; `ds`, the root's DS."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="summond-hierarchy-"))
        for name, *both in ROOT + PARENTS + OURS:
            for address in both:
                subprocess.run(["ip", "address", "add", address, "dev", "lo"], check=True)
        self.summond = self.nsd = None
        try:
            self.start_summond()
            self.start_nsd()
        except BaseException:
            self.stop()
            raise

    def start_summond(self):
        self.summond = Summond(backend="sim", network=False)
        (self.folder / "ours").write_text(ZONE_FILE)
        listen = ", ".join(f'"{address}"' for _, *both in OURS for address in both)
        names = "\n".join(f'ns "{name.split(".")[0]}" {{ address = {ipv4}; address6 = "{ipv6}" }}'
                          for name, ipv4, ipv6 in OURS)
        text = self.summond.config.read_text()
        text = text.replace('"127.0.0.1@5353"', listen)
        text = text.replace('ns "ns1" { address = 127.0.0.1 }',
                            f'file = "{self.folder / "ours"}"\n{names}')
        self.summond.config.write_text(text)
        self.summond.start()
        self.summond.add(f"www.{ZONE}", ipv4="9.30.1.1")
        self.summond.ctl("key", "add", ZONE)

    def start_nsd(self):
        ds = [line.split(";")[0] for line in self.summond.ctl("key", "ds", ZONE).stdout.splitlines()]
        _, parents = self.sign(PARENT, [soa("a.nic.test"), *servers(PARENT, PARENTS),
                                        *servers(ZONE, OURS), *ds])
        key, ds = self.sign(".", [soa("a.root"), *servers("", ROOT), *servers(PARENT, PARENTS),
                                  *servers(NETWORKS, ROOT, glue=False), parents,
                                  *reverse(ROOT + PARENTS + OURS)])
        self.anchor = self.folder / "anchor"
        self.anchor.write_text(key)
        self.ds = ds
        self.hints = self.folder / "hints"
        self.hints.write_text("\n".join(f"{owner} 3600000 {rest}" for owner, rest in (
            line.split(" ", 1) for line in servers("", ROOT))) + "\n")
        (self.folder / "networks").write_text("\n".join(["$TTL 3600", *networks()]) + "\n")
        zones = {".": "root.signed", PARENT: f"{PARENT}.signed", NETWORKS: "networks"}
        self.nsd = Nsd(53, None, options="\n".join(
            f"    ip-address: {address}@53" for _, *both in ROOT + PARENTS for address in both),
            extra="".join(f'zone:\n    name: "{name}"\n    zonefile: "{self.folder / file}"\n'
                          for name, file in zones.items()))

    def sign(self, zone, lines):
        """Signs a zone with one key; returns its DNSKEY and its DS."""
        name = "root" if zone == "." else zone
        origin = zone if zone == "." else f"{zone}."
        (self.folder / name).write_text("\n".join([f"$ORIGIN {origin}", "$TTL 3600", *lines]) + "\n")

        def run(*words):
            return subprocess.run(words, cwd=self.folder, capture_output=True, text=True,
                                  timeout=60, check=True).stdout
        key = run("ldns-keygen", "-k", "-a", "ECDSAP256SHA256", zone).strip()
        run("ldns-signzone", "-i", "20200101000000", "-o", zone, "-f", f"{name}.signed", name, key)
        return ((self.folder / f"{key}.key").read_text(), run("ldns-key2ds", "-n", "-2", f"{key}.key"))

    def stop(self):
        if self.nsd:
            self.nsd.stop()
        if self.summond:
            self.summond.stop()
        shutil.rmtree(self.folder)

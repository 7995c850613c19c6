# SPDX-License-Identifier: ISC
"""Other people's servers as secondaries of a zone: each takes it with a TSIG key, hears of changes, and
looks by itself as often as the zone's SOA says."""
import sqlite3
import subprocess
from pathlib import Path

from harness import HANG
from judges import Judge, nsd_configuration

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")


class Secondary(Judge):
    """Of all `zones`, from `primary`; `key` is a name and a secret."""
    looks = True  # by itself, as often as the SOA says

    def __init__(self, port, zones, primary, key):
        self.zones, self.primary = zones, primary
        self.key, self.secret = key
        super().__init__(port)


class Bind(Secondary):
    program = "named"

    def command(self):
        zones = "".join(f"""
zone "{zone}" {{
    type secondary;
    file "{zone}";
    primaries {{ 127.0.0.1 port {self.primary} key "{self.key}"; }};
    min-refresh-time 1; max-refresh-time 2; min-retry-time 1; max-retry-time 2;
}};""" for zone in self.zones)
        return ["named", "-g", "-n", "1", "-c", self.write(f"""
key "{self.key}" {{ algorithm hmac-sha256; secret "{self.secret}"; }};
options {{
    directory "{self.folder}";
    pid-file none; session-keyfile none;
    listen-on port {self.port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no; notify no; dnssec-validation no; empty-zones-enable no;
}};
controls {{ }};
statistics-channels {{ }};{zones}
""")]


class Knot(Secondary):
    program = "knotd"

    def command(self):
        zones = "".join(f"  - domain: {zone}\n    refresh-min-interval: 2\n"
                        f"    retry-min-interval: 2\n    master: ours\n    acl: ours\n"
                        f"    zonefile-load: none\n    journal-content: none\n"
                        for zone in self.zones)
        return ["knotd", "-c", self.write(f"""
server:
    rundir: {self.folder}
    listen: 127.0.0.1@{self.port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.folder}
log:
  - target: stderr
    any: info
key:
  - id: {self.key}
    algorithm: hmac-sha256
    secret: {self.secret}
remote:
  - id: ours
    address: 127.0.0.1@{self.primary}
    key: {self.key}
acl:
  - id: ours
    address: 127.0.0.1
    action: notify
zone:
{zones}""")]


class Nsd(Secondary):
    """`over`: what NSD is told of the way that it asks: AXFR, UDP, or nothing, for IXFR over TCP."""
    program = "nsd"
    over = ""

    def command(self):
        zones = "".join(f"""
zone:
    name: {zone}
    zonefile: {zone}
    min-refresh-time: 1
    max-refresh-time: 2
    min-retry-time: 1
    max-retry-time: 2
    request-xfr: {self.over} 127.0.0.1@{self.primary} {self.key}
    allow-notify: 127.0.0.1 NOKEY
""" for zone in self.zones)
        return ["nsd", "-d", "-c", self.write(nsd_configuration(self, f"""
key:
    name: {self.key}
    algorithm: hmac-sha256
    secret: {self.secret}
{zones}"""))]


class NsdOverUdp(Nsd):
    # NSD 4.6.1 does not ask again for a long time once it was answered over UDP, whoever answers.
    over, looks = "UDP", False


class PowerDns(Secondary):
    program = "pdns_server"

    def command(self):
        (self.folder / "pdns.conf").write_text(f"""
launch=gsqlite3
gsqlite3-database={self.folder}/zones
local-address=127.0.0.1
local-port={self.port}
socket-dir={self.folder}
secondary=yes
xfr-cycle-interval=1
query-cache-ttl=0
cache-ttl=0
zone-cache-refresh-interval=0
security-poll-suffix=
loglevel=5
""")
        with sqlite3.connect(self.folder / "zones") as database:
            database.executescript(SCHEMA.read_text())
        self.tool("import-tsig-key", self.key, "hmac-sha256", self.secret)
        for zone in self.zones:
            self.tool("create-secondary-zone", zone, f"127.0.0.1:{self.primary}")
            self.tool("activate-tsig-key", zone, self.key, "secondary")
        return ["pdns_server", f"--config-dir={self.folder}", "--daemon=no", "--guardian=no",
                "--disable-syslog"]

    def tool(self, *words):
        subprocess.run(["pdnsutil", f"--config-dir={self.folder}", *words], capture_output=True,
                       timeout=HANG, check=True)

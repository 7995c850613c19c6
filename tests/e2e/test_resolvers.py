# SPDX-License-Identifier: ISC
"""Real resolvers in front of summond: whoever asks one of them for a sleeping name gets the answer
in one go, though the resolver is a stranger that has to show where it is."""
import os
import shutil
import signal
import subprocess

import pytest
from harness import HANG, Answer, Summond, wait_for

ZONE = "lab.example"
NAME = f"www.{ZONE}"
SERVER = "192.0.2.53"
RESOLVER = "198.51.100.10"  # where it asks from; not trusted
PORT = 5301

UNBOUND = f"""
server:
  interface: 127.0.0.1@{PORT}
  outgoing-interface: {RESOLVER}
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: "FOLDER"
  module-config: "iterator"
  num-threads: 1
stub-zone:
  name: "{ZONE}"
  stub-addr: {SERVER}
remote-control:
  control-enable: no
"""

KRESD = f"""
net.listen('127.0.0.1', {PORT}, {{ kind = 'dns' }})
net.ipv6 = false
net.outgoing_v4('{RESOLVER}')
trust_anchors.remove('.')
cache.size = 10 * MB
policy.add(policy.suffix(policy.STUB('{SERVER}'), policy.todnames({{'{ZONE}'}})))
"""

NAMED = f"""
options {{
  directory "FOLDER";
  pid-file none;
  listen-on port {PORT} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  query-source {RESOLVER};
  dnssec-validation no;
  session-keyfile none;
}};
controls {{ }};
zone "{ZONE}" {{ type static-stub; server-addresses {{ {SERVER}; }}; }};
"""

RESOLVERS = {
    "unbound": (UNBOUND, lambda config: ["unbound", "-d", "-c", config]),
    "kresd": (KRESD, lambda config: ["kresd", "-n", "-c", config, os.path.dirname(config)]),
    "named": (NAMED, lambda config: ["named", "-g", "-4", "-u", "root", "-c", config]),
}


@pytest.fixture(scope="module")
def summond():
    for address in (SERVER, RESOLVER):
        subprocess.run(["ip", "addr", "add", f"{address}/32", "dev", "lo"], check=True)
    config = f"""
dns {{ listen = ["127.0.0.1@5353", "{SERVER}@53"] }}
zone "{ZONE}" {{ ns "ns1" {{ address = {SERVER} }} }}
"""
    # The one of the harness is set already.
    with Summond(backend="sim", network=False) as daemon:
        text = daemon.config.read_text().replace('dns { listen = ["127.0.0.1@5353"] }', "")
        daemon.config.write_text(text + config)
        yield daemon.start()
    for address in (SERVER, RESOLVER):
        subprocess.run(["ip", "addr", "del", f"{address}/32", "dev", "lo"], check=True)


@pytest.fixture(params=RESOLVERS)
def resolver(request, tmp_path):
    text, command = RESOLVERS[request.param]
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    config = tmp_path / "conf"
    config.write_text(text.replace("FOLDER", str(tmp_path)))
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(command(str(config)), stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, cwd=tmp_path)
    wait_for(lambda: ask("localhost").status != "TIMEOUT" or process.poll() is not None, "a start")
    assert process.poll() is None, (tmp_path / "log").read_text()
    yield request.param
    process.send_signal(signal.SIGKILL)
    process.wait(HANG)
    print((tmp_path / "log").read_text()[-3000:])


def ask(name, *words, seconds=1):
    """One query, which is not repeated."""
    done = subprocess.run(["dig", "@127.0.0.1", "-p", str(PORT), name, "+tries=1",
                           f"+time={seconds}", *words], capture_output=True, text=True,
                          timeout=HANG, check=False)
    return Answer(done.stdout)


def counters(summond):
    return summond.get("/v1/status")["counters"]


def test_a_sleeping_name_in_one_go(summond, resolver):
    name = f"{resolver}.{ZONE}"
    summond.policy("brisk", hold="1.2s")
    summond.add(name, policy="brisk", cmdline="sim.boot_delay=200ms")
    before = counters(summond)
    answer = ask(name, seconds=10)
    assert answer.status == "NOERROR", answer.text
    assert answer.addresses == [summond.service(name)["ipv4"]]
    assert summond.state(name) == "awake"
    after = counters(summond)
    assert after["wake"]["unverified"] > before["wake"]["unverified"], "it was sent to TCP"
    assert after["dns"]["tcp_queries"] > before["dns"]["tcp_queries"]
    assert len(summond.summons(name)) == 1


def test_what_takes_too_long_has_its_address_all_the_same(summond, resolver):
    name = f"slow-{resolver}.{ZONE}"
    summond.policy("slow", hold="1.2s", ready_timeout="10s")
    summond.add(name, policy="slow", cmdline="sim.never_ready=yes")
    answer = ask(name, seconds=10)
    assert answer.addresses == [summond.service(name)["ipv4"]], answer.text


def test_a_failed_start_is_servfail_at_once(summond, resolver):
    name = f"bad-{resolver}.{ZONE}"
    summond.add(name, cmdline="sim.fail=start")
    answer = ask(name, seconds=10)
    assert answer.status == "SERVFAIL"


def test_names_that_are_none(summond, resolver):
    assert ask(f"nobody.{ZONE}", seconds=10).status == "NXDOMAIN"
    summond.add(f"mx-{resolver}.{ZONE}")
    assert ask(f"mx-{resolver}.{ZONE}", "MX", seconds=10).status == "NOERROR"
    # To hide what it is asked, unbound may ask for the A before (RFC 9156), and that wakes.
    if resolver != "unbound":
        assert summond.state(f"mx-{resolver}.{ZONE}") == "asleep"

# SPDX-License-Identifier: ISC
"""summond as the resolver of a home: names that are not its own go to unbound."""
import shutil
import signal
import subprocess
import time

import pytest
from harness import HANG, Answer, Summond, wait_for

NAME = "www.example.test"
STRANGER = "192.0.2.10"
UPSTREAM = "127.0.0.2"

pytestmark = pytest.mark.skipif(not shutil.which("unbound"), reason="unbound is not installed")

UNBOUND = f"""
server:
  interface: {UPSTREAM}
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: "FOLDER"
  module-config: "iterator"
  do-not-query-localhost: no
  local-zone: "elsewhere.example." static
  local-data: "host.elsewhere.example. 60 IN A 192.0.2.77"
  local-data: "host.elsewhere.example. 60 IN TXT 'as it is'"
  local-zone: "example.test." redirect
  local-data: "example.test. 60 IN A 192.0.2.66"
LONG
forward-zone:
  name: "."
  forward-addr: 127.0.0.1@5353
remote-control:
  control-enable: no
"""
LONG = "\n".join(f"  local-data: \"long.elsewhere.example. IN TXT '{i:0200}'\"" for i in range(40))


@pytest.fixture(scope="module", autouse=True)
def upstream(tmp_path_factory):
    folder = tmp_path_factory.mktemp("unbound")
    config = folder / "conf"
    config.write_text(UNBOUND.replace("FOLDER", str(folder)).replace("LONG", LONG))
    subprocess.run(["ip", "addr", "add", f"{STRANGER}/32", "dev", "lo"], check=True)
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(["unbound", "-d", "-c", config], stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL)
    wait_for(lambda: ask("host.elsewhere.example", server=UPSTREAM, port=53).addresses
             or process.poll() is not None, "unbound to serve")
    assert process.poll() is None, (folder / "log").read_text()
    yield
    process.send_signal(signal.SIGKILL)
    process.wait(HANG)
    subprocess.run(["ip", "addr", "del", f"{STRANGER}/32", "dev", "lo"], check=True)


def ask(name, *words, server="127.0.0.1", port=5353):
    done = subprocess.run(["dig", f"@{server}", "-p", str(port), name, "+tries=1", "+time=10",
                           *words], capture_output=True, text=True, timeout=HANG, check=False)
    return Answer(done.stdout)


@pytest.fixture(scope="module")
def summond():
    config = f'forward {{ enabled = true; upstreams = ["{UPSTREAM}"] }}'
    with Summond(config, backend="sim", network=False).start() as daemon:
        yield daemon


@pytest.mark.parametrize("words", [[], ["+tcp"], ["+noedns"], ["+dnssec", "+cdflag"]])
def test_names_of_others(summond, words):
    assert ask("host.elsewhere.example", *words).addresses == ["192.0.2.77"]
    assert "as it is" in ask("host.elsewhere.example", "TXT", *words).text
    assert ask("nobody.elsewhere.example", *words).status == "NXDOMAIN"
    assert ask("HOST.elsewhere.EXAMPLE", *words).addresses == ["192.0.2.77"]


def test_long_answers(summond):
    answer = ask("long.elsewhere.example", "TXT", "+ignore")
    assert answer.status == "NOERROR" and " tc" in answer.text
    assert ask("long.elsewhere.example", "TXT").text.count("\tTXT\t") == 40
    assert ask("long.elsewhere.example", "TXT", "+tcp").text.count("\tTXT\t") == 40


def test_own_names_are_never_forwarded(summond):
    summond.add(NAME)
    assert ask(NAME).addresses == [summond.service(NAME)["ipv4"]]
    assert ask("nobody.example.test").status == "NXDOMAIN"
    assert not ask(NAME, "AAAA").addresses


def test_not_for_strangers(summond):
    answer = ask("host.elsewhere.example", "-b", STRANGER)
    assert (answer.status, answer.ede) == ("REFUSED", 18)
    assert "no recursion" in answer.ede_text
    assert ask("host.elsewhere.example", "+norecurse").status == "REFUSED"


def test_a_loop_ends(summond):
    before = summond.get("/v1/status")["counters"]["dns"]
    began = time.monotonic()
    assert ask("in-a-loop.org").status == "SERVFAIL"
    assert time.monotonic() - began < HANG
    after = summond.get("/v1/status")["counters"]["dns"]
    # What came back joined what was under way: nothing multiplies.
    assert after["udp_queries"] - before["udp_queries"] < 50


def test_off_by_default():
    with Summond(backend="sim", network=False, port=5354).start():
        answer = ask("host.elsewhere.example", port=5354)
        assert (answer.status, answer.ede) == ("REFUSED", 20)


def test_upstreams_of_the_host(tmp_path):
    resolv = tmp_path / "resolv.conf"
    resolv.write_text(f"# made by hand\nsearch x\nnameserver {UPSTREAM}\noptions edns0\n")
    config = f'forward {{ enabled = true; resolv_conf = "{resolv}" }}'
    with Summond(config, backend="sim", network=False, port=5354).start():
        assert ask("host.elsewhere.example", port=5354).addresses == ["192.0.2.77"]


def test_this_server_is_no_upstream():
    config = 'forward { enabled = true; upstreams = ["127.0.0.1@5354"] }'
    daemon = Summond(config, backend="sim", network=False, port=5354)
    daemon.start(wait=False)
    assert daemon.process.wait(HANG) != 0
    assert "127.0.0.1 port 5354 is this server itself" in daemon.log()
    daemon.stop()

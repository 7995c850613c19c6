# SPDX-License-Identifier: ISC
"""A signed zone that is delegated to summond, as other people's programs find and judge it from the
root down."""
import json
import shutil
import signal
import subprocess

import pytest
from harness import HANG, Answer, wait_for
from hierarchy import OURS, ROOT, ZONE, Hierarchy
from judges import need

need("nsd", "ldns-keygen", "ldns-signzone", "ldns-key2ds")
PORT = 5301


@pytest.fixture(scope="module")
def tree():
    made = Hierarchy()
    yield made
    made.stop()


def run(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True, timeout=200,
                          check=False)
    return done.stdout + done.stderr


def test_zonemaster_finds_no_fault(tree):
    need("zonemaster-cli")
    text = run("zonemaster-cli", "--hints", tree.hints, "--no-progress", "--json", "--level", "INFO",
               ZONE)
    said = json.loads(text)
    assert [line for line in said if line["level"] != "INFO"] == [], text
    modules = {line["module"] for line in said}
    assert modules >= {"ADDRESS", "BASIC", "CONNECTIVITY", "CONSISTENCY", "DELEGATION", "DNSSEC",
                       "NAMESERVER", "SYNTAX", "ZONE"}, modules


def test_dnsviz_finds_no_fault(tree):
    need("dnsviz")
    root = ",".join(f"{name}={ipv4},{name}=[{ipv6}]" for name, ipv4, ipv6 in ROOT)
    names = [ZONE, *(f"{label}.{ZONE}" for label in ("www", "mail", "alias", "a.wild", "no", "a.b"))]
    probe = tree.folder / "probe"
    run("dnsviz", "probe", "-A", "-a", ".", "-x", f".:{root}", "-E", "-o", probe, *names)
    # Nothing at all: it prints only what has an error or a warning, and what that belongs to.
    assert run("dnsviz", "grok", "-r", probe, "-l", "warning") == ""
    report = json.loads(run("dnsviz", "grok", "-r", probe, "-l", "info"))
    assert set(report) >= {f"{name}." for name in names}
    assert report[f"{ZONE}."]["delegation"]["status"] == "SECURE"
    for query in (f"www.{ZONE}./IN/A", f"mail.{ZONE}./IN/A"):
        [answer] = report[f"{query.split('/')[0]}"]["queries"][query]["answer"]
        assert {rrsig["status"] for rrsig in answer["rrsig"]} == {"VALID"}
        servers = {address for _, *both in OURS for address in both}
        assert set(answer["rrsig"][0]["servers"]) == servers


UNBOUND = """
server:
  interface: 127.0.0.1@{port}
  do-daemonize: no
  use-syslog: no
  username: ""
  chroot: ""
  pidfile: ""
  directory: "{folder}"
  module-config: "validator iterator"
  num-threads: 1
  local-zone: "test." nodefault
  root-hints: "{hints}"
  trust-anchor-file: "{anchor}"
  ede: yes
remote-control:
  control-enable: no
"""

NAMED = """
options {{
  directory "{folder}";
  pid-file none;
  listen-on port {port} {{ 127.0.0.1; }};
  listen-on-v6 {{ none; }};
  recursion yes;
  dnssec-validation yes;
  session-keyfile none;
}};
controls {{ }};
trust-anchors {{ {root} }};
zone "." {{ type hint; file "{hints}"; }};
"""

RESOLVERS = {
    "unbound": (UNBOUND, lambda config: ["unbound", "-d", "-c", config]),
    "named": (NAMED, lambda config: ["named", "-g", "-u", "root", "-c", config]),
}


def ask(name, *words):
    return Answer(run("dig", "@127.0.0.1", "-p", PORT, name, "+tries=1", "+time=10", *words))


@pytest.fixture(scope="module", params=RESOLVERS)
def resolver(request, tree, tmp_path_factory):
    if not shutil.which(request.param):
        pytest.skip(f"{request.param} is not installed")
    folder = tmp_path_factory.mktemp(request.param)
    text, command = RESOLVERS[request.param]
    config = folder / "conf"
    tag, algorithm, kind, digest = tree.ds.split()[-4:]
    config.write_text(text.format(
        port=PORT, folder=folder, hints=tree.hints, anchor=tree.anchor,
        root=f'. static-ds {tag} {algorithm} {kind} "{digest}";'))
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command(str(config)), stdout=log, stderr=log,
                                   stdin=subprocess.DEVNULL, cwd=folder)
    wait_for(lambda: ask("localhost").status != "TIMEOUT" or process.poll() is not None, "a start")
    assert process.poll() is None, (folder / "log").read_text()
    yield request.param
    process.send_signal(signal.SIGKILL)
    process.wait(HANG)
    print((folder / "log").read_text()[-3000:])


@pytest.mark.parametrize("name, rdtype, status, says", [
    ("www", "A", "NOERROR", "9.30.1.1"), ("mail", "A", "NOERROR", "9.30.0.25"),
    ("alias", "A", "NOERROR", "9.30.0.25"), ("some.wild", "TXT", "NOERROR", '"any"'),
    ("www", "AAAA", "NOERROR", "ANSWER: 0"), ("www", "TXT", "NOERROR", "ANSWER: 0"),
    ("wild", "A", "NOERROR", "ANSWER: 0"), ("no", "A", None, "ANSWER: 0"),
    ("no.such.name", "MX", None, "ANSWER: 0"),
])
def test_a_resolver_validates_from_the_root(resolver, name, rdtype, status, says):
    answer = ask(f"{name}.{ZONE}", rdtype, "+dnssec")
    assert answer.status in (["NOERROR", "NXDOMAIN"] if status is None else [status]), answer.text
    assert " ad" in answer.text.split("flags:")[1].split(";")[0], answer.text
    assert says in answer.text, answer.text


def test_drill_chases_down_from_the_root(resolver, tree):
    """The signatures of an answer, upwards, until the key that it was given."""
    need("drill")
    text = run("drill", "-p", PORT, "-S", "-k", tree.anchor, f"www.{ZONE}", "A", "@127.0.0.1")
    assert "Chase successful" in text, text



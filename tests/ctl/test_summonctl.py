# SPDX-License-Identifier: ISC
"""summonctl's arguments, exit codes and output. TAP on stdout."""
import io
import json
import os
import re
import subprocess
import sys
import tarfile
import tempfile

import jsonschema

from fake_daemon import State, answer, serve

SUMMONCTL, ROOT = sys.argv[1:]
NAME = "www.example.test"


class Case:
    """One fresh daemon and folder."""

    def __init__(self, root):
        self.dir = tempfile.mkdtemp(dir=root)
        self.socket = f"{self.dir}/s"
        self.state = State()
        self.state.site_dir = self.dir
        self.server = serve(self.socket, self.state)

    def run(self, *args, code=0, stdin=None, env=None):
        done = subprocess.run([SUMMONCTL, *args], capture_output=True, text=True, timeout=60,
                              input=stdin, env={**os.environ, "SUMMOND_SOCKET": self.socket, **(env or {})})
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        assert (done.stderr != "") == (code in (1, 2, 3, 5)) or code in (1, 4), (args, done.stderr)
        return done.stdout if code == 0 else done.stdout + done.stderr

    def write(self, name, text):
        path = f"{self.dir}/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    def written(self):
        """The calls that change something, and forget them."""
        calls = [(method, path) for method, path, _ in self.state.calls if method != "GET"]
        self.state.calls.clear()
        return calls


def has(text, *parts):
    for part in parts:
        assert part in text, (part, text)


def usage(case):
    has(case.run("--help"), "usage: summonctl", "policy set", "timeline")
    for command in ("add", "apply", "list", "wake", "policy set", "check"):
        has(case.run(*command.split(), "--help"), f"usage: summonctl {command}", "--socket PATH")
    has(case.run("--version"), "summonctl 0.")
    for wrong, message in (
            ([], "a command is missing"),
            (["lst"], "unknown command 'lst'"),
            (["policy"], "unknown command 'policy'"),
            (["policy", "st"], "unknown command 'policy st'"),
            (["show"], "usage: summonctl show NAME"),
            (["show", "a", "b"], "usage: summonctl show NAME"),
            (["show", ""], "an argument is empty"),
            (["show", "a", "--what"], "unknown option --what"),
            (["list", "--names=yes"], "--names takes no value"),
            (["add", "a", "--site"], "--site needs a value: DIR"),
            (["add", "a", "--image", "x", "--image", "y"], "--image is given twice"),
            (["add", "a", "--memory", "lots"], "--memory: 'lots' is not a size"),
            (["add", "a", "--vcpus", "0"], "--vcpus: "),
            (["add", "a", "--address", "10.0.0.1", "--address", "10.0.0"], "--address: '10.0.0' is no"),
            (["add", "a", "--address6", "10.0.0.1"], "--address6: '10.0.0.1' is not an IPv6 address"),
            (["add", "a", "--initrd", "/nonexistent"], "--initrd: /nonexistent: No such file"),
            (["apply"], "usage: summonctl apply -f FILE"),
            (["summons", "--limit", "0"], "--limit: "),
            (["policy", "set", "p", "x"], "'x' is not OPTION=VALUE"),
    ):
        has(case.run(*wrong, code=2), "summonctl: ", message)
    assert case.state.calls == []


def services(case):
    kernel = case.write("kernel", "x")
    has(case.run("add", NAME, "--image", kernel, "--memory=64MiB", "--vcpus", "2", "--cmdline", "a b"),
        f"added {NAME} at 10.77.0.2")
    assert case.state.services[NAME]["image"] == kernel
    assert (case.state.services[NAME]["memory"], case.state.services[NAME]["vcpus"]) == ("64MiB", 2)
    has(case.run("add", NAME, "--image", "echo", "--xml", case.write("x.xml", "<domain/>")), "changed")
    assert case.state.services[NAME]["domain_xml"] == "<domain/>"
    disk = case.write("disk.img", "x")
    case.run("add", NAME, "--image", "echo", "--kernel-line", "", "--also-name", "a.example.test", "--nics",
             "br0 br1@vif-nat", "--disks", f"{disk}@xvda {os.path.relpath(disk)}@xvdb:ro")
    kept = case.state.services[NAME]
    assert (kept["kernel_line"], kept["names"], kept["nics"]) == ("", ["a.example.test"], "br0 br1@vif-nat")
    assert kept["disks"] == f"{disk}@xvda {disk}@xvdb:ro"
    has(case.run("add", NAME, "--disks", f"{disk}@vda", code=2), "--disks: ", "is no disk")
    has(case.run("add", NAME, "--disks", "/nonexistent@xvda", code=2), "--disks: /nonexistent: No such")
    has(case.run("set", NAME, "--also-name", "c.example.test", "--also-name=d.example.test", "--vcpus", "2"),
        f"changed {NAME}")
    method, path, body = case.state.calls[-1]
    assert (method, path) == ("PATCH", f"/v1/services/{NAME}")
    assert json.loads(body) == {"names": ["c.example.test", "d.example.test"], "vcpus": 2}
    case.run("set", NAME, "--also-name", "")
    assert case.state.services[NAME]["names"] == []
    has(case.run("set", NAME, code=2), "what is to change")
    has(case.run("set", NAME, "--vcpus=1", "--vcpus=2", code=2), "--vcpus is given twice")
    has(case.run("set", NAME, "--site", ".", code=2), "unknown option --site")
    has(case.run("set", "nobody", "--vcpus=1", code=3), "there is no service nobody")
    case.run("add", "b.example.test", "--image", "echo")
    lines = case.run("list").splitlines()
    assert re.match(r"NAME +STATE +SINCE +ADDRESS +BACKEND +POLICY$", lines[0]), lines
    assert len({line.index(word) for line, word in zip(lines, ("STATE", "asleep", "asleep"))}) == 1
    assert case.run("list", "--names") == f"b.example.test\n{NAME}\n"
    assert len(json.loads(case.run("list", "--json"))["services"]) == 2
    assert len(json.loads(case.run("--json", "list"))["services"]) == 2
    shown = case.run("show", NAME)
    has(shown, "state", "asleep", "mac")
    assert re.search(r"^figures\.mode +kvm\nfigures\.exits +7$", shown, re.M), shown
    has(case.run("show", "nobody", code=3), "summonctl: there is no service nobody")
    case.run("show", "a/b?c", code=3)
    assert case.state.calls[-1][1] == "/v1/services/a/b?c"
    has(case.run("add", "c", "--policy", "none", code=1), "summonctl: there is no policy none")
    has(case.run("pin", NAME), "kept awake")
    has(case.run("list"), "asleep, pinned")
    case.run("unpin", NAME)
    has(case.run("retire", NAME, "--how", "destroy"), "being retired")
    assert json.loads(case.state.calls[-1][2]) == {"how": "destroy"}
    has(case.run("remove", NAME), "removed")
    case.run("remove", NAME, code=3)


def waking(case):
    case.run("add", NAME, "--image", "echo")
    case.run("add", "broken.test", "--image", "echo")
    assert case.run("wake", NAME) == f"{NAME}: awake after 12.346 ms (summon 7)\n"
    assert case.run("wake", NAME, "--no-wait") == f"{NAME}: on its way (summon 7)\n"
    assert json.loads(case.run("wake", NAME, "--json"))["summon"] == 7
    has(case.run("wake", "broken.test", code=5), "summonctl: the guest ended before")
    case.run("wake", "nobody", code=3)


def unreachable(case):
    gone = f"{case.dir}/gone"
    case.write("site/index.html", "hello")
    site = ["add", "a", "--site", f"{case.dir}/site"]
    for command in (["list"], ["add", "a"], site, ["watch"], ["logs", "a"], ["logs", "-f", "a"], ["status"]):
        has(case.run(*command, "--socket", gone, code=4), "summonctl: the daemon is not reachable", gone)
    has(case.run("check", "--socket", gone, code=4), "error", "is not running", "systemctl start")
    checks = json.loads(case.run("check", "--json", "--socket", gone, code=4))["checks"]
    assert checks[0]["name"] == "daemon" and checks[0]["ok"] is False
    has(case.run("check", "--socket", "/" + "x" * 200, code=4), "File name too long")


def checking(case):
    has(case.run("check"), "ok", "dns", "listens on")
    case.state.check_ok = False
    has(case.run("check", code=1), "error", "dns")
    has(case.run("status"), "9.9", "1d 02:03:04", "backend sim", "a fake (suspend)", "not usable: nobody answers", "udp_queries", "42")


def sites(case):
    case.write("site/index.html", "<p>hello")
    case.write("site/b/style.css", "p {}")
    os.symlink("index.html", f"{case.dir}/site/a.html")
    has(case.run("add", NAME, "--site", f"{case.dir}/site"), "added")
    archive = tarfile.open(fileobj=io.BytesIO(case.state.sites[NAME]))
    assert archive.getnames() == ["a.html", "b/style.css", "index.html"], archive.getnames()
    assert all(member.isreg() for member in archive)
    assert archive.extractfile("a.html").read() == b"<p>hello"
    first = case.state.sites[NAME]
    has(case.run("add", NAME, "--site", f"{case.dir}/site", "--memory", "64MiB"), "changed")
    assert case.state.sites[NAME] == first
    assert case.state.services[NAME]["image"] == "website"
    case.written()
    case.write("site/large.bin", "x" * (2 << 20))
    has(case.run("add", NAME, "--site", f"{case.dir}/site", code=1), "larger than 1MiB")
    os.unlink(f"{case.dir}/site/large.bin")
    for target, message in (("/etc/passwd", "outside the site"), ("b", "a link to a folder"),
                            ("nowhere", "a link to nothing")):
        case.written()
        os.symlink(target, f"{case.dir}/site/link")
        has(case.run("add", NAME, "--site", f"{case.dir}/site", code=1), "site/link", message)
        os.unlink(f"{case.dir}/site/link")
        assert case.written() == []
    os.mkfifo(f"{case.dir}/site/fifo")
    has(case.run("add", NAME, "--site", f"{case.dir}/site", code=1), "neither a file nor a folder")
    os.mkdir(f"{case.dir}/empty")
    has(case.run("add", NAME, "--site", f"{case.dir}/empty", code=1), "has no files")
    has(case.run("add", NAME, "--site", f"{case.dir}/none", code=1), "No such file")


def applying(case):
    case.write("x/site/index.html", "hello")
    path = case.write("x/all.conf", f"""
        policy quick {{ idle_after = 90s }}
        service "{NAME}" {{ site = site; policy = quick; memory = 64MiB }}
        service echo.test {{ image = echo; address = 10.77.9.9; also-name = [b.test, "A.test."] }}
        """)
    has(case.run("apply", "-f", path, "--dry-run"), "policy quick: would be added",
        f"service {NAME}: would be added")
    assert case.written() == []
    assert case.run("apply", "-f", path) == (
        f"policy quick: added\nservice {NAME}: added\nservice echo.test: added\n")
    assert case.state.services["echo.test"]["ipv4"] == "10.77.9.9"
    assert case.state.services[NAME]["image"] == "website"
    case.written()
    has(case.run("apply", "-f", path), "policy quick: unchanged", f"service {NAME}: unchanged",
        "service echo.test: unchanged")
    assert case.written() == []
    case.state.services["echo.test"]["names"] = ["a.test", "b.test"]
    has(case.run("apply", "-f", path), "service echo.test: unchanged")
    case.state.policies["quick"]["idle_after"] = "1.5min"
    case.state.services["echo.test"]["cmdline"] = "by hand"
    case.write("x/site/index.html", "hello again")
    changes = json.loads(case.run("apply", "--json", "-f", path))["changes"]
    assert [change["change"] for change in changes] == ["unchanged", "changed", "changed"], changes
    assert case.written() == [("PUT", f"/v1/services/{NAME}/site"), ("PUT", "/v1/services/echo.test")]
    assert "cmdline" not in case.state.services["echo.test"]
    has(case.run("apply", "-f", "-", stdin='{"service": {"j.test": {"image": "echo", "vcpus": 2}}}'),
        "service j.test: added")
    for text, message in (
            ("a = 1", ":1: a: is unknown"),
            ("service = x", ":1: service: must be a section"),
            ("service { image = x }", ":1: service: has a name"),
            ("\nservice a {\n imag = x }", ":3: service a: imag: unknown option"),
            ("service a { also-name = [x, [y]] }", ":1: service a: also-name: must be a list"),
            ("service a { image = [x] }", ":1: service a: image: must be one value"),
            ("service a { initrd = gone }", ":1: service a: initrd: gone: No such file"),
            ("service a { site = gone }", ":1: service a: site: "),
            ("policy p { idle = 1s }", ":1: policy p: idle: unknown option"),
            ("service a {", ":1: this section has no end"),
    ):
        case.written()
        has(case.run("apply", "-f", case.write("bad.conf", text), code=1), "bad.conf", message)
        assert case.written() == []
    case.run("apply", "-f", f"{case.dir}/none", code=1)
    has(case.run("apply", "-f", case.write("bad.conf", "\nservice a { policy = none }"), code=1),
        "bad.conf:2: service a: there is no policy none")


def policies(case):
    has(case.run("policy", "set", "quick", "idle_after=5s", "start=suspended"), "made policy quick")
    assert case.state.policies["quick"]["idle_after"] == "5s"
    has(case.run("policy", "set", "quick", "ready=tcp"), "changed policy quick")
    assert case.state.policies["quick"] == {
        "idle_after": "5s", "start": "suspended", "ready": "tcp", "retire": "destroy"}
    has(case.run("policy", "list"), "default", "quick", "suspended")
    has(case.run("policy", "show", "quick"), "idle_after  =  5s")
    has(case.run("policy", "set", "quick", "cake=yes", code=1), "summonctl: cake: unknown option")
    case.run("policy", "show", "nobody", code=3)
    has(case.run("policy", "remove", "quick"), "removed")
    case.run("policy", "remove", "default", code=1)


def journal(case):
    case.run("add", NAME, "--image", "echo")
    has(case.run("summons"), "SUMMON", NAME, "20.000 ms", "ready")
    has(case.run("summons", NAME, "-n", "5"), NAME)
    for args in ([], [NAME], ["7"]):
        has(case.run("timeline", *args), f"summon 7 of {NAME}: query, ready after 20.000 ms",
            "5.000", "4.900", "created", "#")
    has(case.run("timeline", "quiet.test", code=3), "nothing was summoned yet")
    case.run("timeline", "8", code=3)
    assert len(json.loads(case.run("timeline", "--json"))["stages"]) == 3
    assert case.run("logs", NAME) == "hello\nagain\n"
    assert case.run("logs", "-f", NAME) == "hello\nwörld\n"
    case.run("logs", "nobody", code=3)
    case.run("logs", "-f", "nobody", code=3)
    has(case.run("watch"), f"12:00:00.123  {NAME}: asleep -> starting (query, summon 7)",
        f"{NAME}: summon 7 ready after 20.000 ms", f"{NAME}: added")
    events = [json.loads(line) for line in case.run("watch", "--json").splitlines()]
    assert [event["event"] for event in events] == ["transition", "summon", "service"]


def manual(case):
    """Every command and option of the program is in its manual page."""
    with open(f"{ROOT}/deploy/man/summonctl.1", encoding="utf-8") as file:
        page = file.read()
    commands = re.findall(r"^  ([a-z]+(?: [a-z]+)?) ", case.run("--help"), re.M)
    assert len(commands) > 15, commands
    for command in commands:
        has(page, f"Cm {command}")
        for option in re.findall(r"^ .{1,5}--([a-z0-9-]+)", case.run(*command.split(), "--help"), re.M):
            has(page, f"Fl -{option}")


def completion(case):
    case.run("add", NAME, "--image", "echo")
    case.run("policy", "set", "quick", "start=cold")
    for line, expected in (("wa", "wake watch"), ("wake ", NAME), ("wake www", NAME), ("wake x y ", ""),
                           ("policy ", "list show set remove"), ("policy sh", "show"),
                           ("policy show q", "quick"), ("policy set quick idle", "idle_after="),
                           ("list --n", "--names"), ("add x --policy q", "quick"),
                           ("retire x --how s", "shutdown suspend snapshot"), ("--json logs -f w", NAME),
                           ("policy remove --h", "--help")):
        words = ["summonctl", *line.split(" ")]
        script = (f". {ROOT}/deploy/completions/summonctl; compopt() {{ :; }}\n"
                  f'COMP_WORDS=("$@"); COMP_CWORD={len(words) - 1}; _summonctl; echo "${{COMPREPLY[*]}}"')
        path = f"{os.path.dirname(SUMMONCTL)}:{os.environ['PATH']}"
        done = subprocess.run(["bash", "-uc", script, "bash", *words], capture_output=True, text=True,
                              timeout=60, env={**os.environ, "PATH": path, "SUMMOND_SOCKET": case.socket})
        assert (done.stdout.strip(), done.stderr) == (expected, ""), (line, done)


def stand_in_keeps_the_contract(case):
    """What this test's daemon answers, and what summonctl sends it, fit daemon/openapi.json."""
    with open(f"{ROOT}/daemon/openapi.json", encoding="utf-8") as file:
        document = json.load(file)
    jsonschema.Draft4Validator.check_schema(document["components"]["schemas"])

    def fits(value, schema):
        jsonschema.Draft4Validator({**schema, "components": document["components"]}).validate(value)

    case.run("add", NAME, "--image", "echo", "--memory", "64MiB", "--vcpus", "2", "--address", "10.77.0.9")
    case.run("wake", NAME)
    case.run("policy", "set", "p", "start=cold")
    for method, path, body in case.state.calls:
        pattern = re.sub(r"/(services|policies)/[^/]+", r"/\1/{name}", path)
        request = document["paths"][pattern][method.lower()].get("requestBody")
        if request and body:
            fits(json.loads(body), request["content"]["application/json"]["schema"])
    for path in ("/v1/status", "/v1/check", "/v1/services", "/v1/policies", "/v1/policy-options",
                 "/v1/summons"):
        schema = document["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
        fits(answer(case.state, "GET", path, {}, b"")[1], schema)


TESTS = [usage, services, waking, unreachable, checking, sites, applying, policies, journal, manual,
         completion, stand_in_keeps_the_contract]


def main():
    print(f"1..{len(TESTS)}")
    failed = 0
    with tempfile.TemporaryDirectory() as root:
        for number, test in enumerate(TESTS, 1):
            try:
                test(Case(root))
                print(f"ok {number} - {test.__name__}")
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"not ok {number} - {test.__name__}")
                print(f"# {type(error).__name__}: {error}".replace("\n", "\n# "))
    return 1 if failed else 0


sys.exit(main())

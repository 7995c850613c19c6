# SPDX-License-Identifier: ISC
"""A real summond for a test: started with its own folders, asked with dig, curl and summonctl."""
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import struct
import subprocess
import tempfile
import time
from pathlib import Path
from urllib.parse import quote

BUILD = Path(os.environ.get("E2E_BUILD", "build"))
SUMMOND = BUILD / "daemon" / "summond"
SUMMONCTL = BUILD / "summonctl" / "summonctl"
IMAGES = BUILD / "guest-kernel"
BACKEND = os.environ.get("E2E_BACKEND", "libvirt")
# What summon-vmm runs guests with: kvm, process, or the first of these that works.
MODE = os.environ.get("E2E_MODE", "auto")
# What a backend needs to be told of this build.
BACKENDS = {"vmm": {"monitor": f"{BUILD.resolve()}/summon-vmm/summon-vmm", "mode": MODE}}
SOURCE = Path(__file__).resolve().parents[2]

# Nothing here asserts a time; these only end a test that hangs.
HANG = 60
# How many clients the API has at once.
CONNECTIONS = 64


def wait_for(condition, what, limit=HANG):
    """Polls until condition() gives something true, and returns it."""
    end = time.monotonic() + limit
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    raise AssertionError(f"waited {limit} s in vain for {what}")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=HANG)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(HANG)
        self.sock.connect(str(self.path))


class Answer:
    """What dig printed, taken apart."""

    def __init__(self, text):
        self.text = text
        status = re.search(r"status: (\w+)", text)
        self.status = status.group(1) if status else "TIMEOUT"
        self.addresses = re.findall(r"^\S+\s+\d+\s+IN\s+(?:A|AAAA)\s+(\S+)$", text, re.M)
        ede = re.search(r"EDE: (\d+)[^:]*(?:: \((.*)\))?", text)
        self.ede = int(ede.group(1)) if ede else None
        self.ede_text = ede.group(2) if ede else None


def question(name):
    """A query for the name's addresses of IPv4."""
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    return struct.pack("!6H", 1, 0x0100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def ask(name, port, patience=HANG):
    """The last address that one query brings, as soon as it comes: dig takes longer than a guest to end."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(patience)
        client.sendto(question(name), ("127.0.0.1", port))
        answer = client.recv(4096)
    assert answer[3] & 15 == 0 and answer[7] >= 1, answer
    return socket.inet_ntoa(answer[-4:])


def guest_sockets(folder):
    """The inodes of the guests' sockets. Files and folders may go while one looks."""
    for place, _, names in os.walk(folder):
        for name in names:
            if name.endswith(".sock") and "-shell-" not in name:
                with contextlib.suppress(FileNotFoundError):
                    yield os.stat(os.path.join(place, name)).st_ino


def vmm_monitors(folder):
    """The pids of the summon-vmm processes with a guest. To ask them would take their connection
    from the daemon; so it is told from their sockets' files, which are named anew when a shell
    becomes a guest."""
    guests = set(guest_sockets(folder))
    found = []
    for line in subprocess.run(["ss", "-xlpeH"], capture_output=True, text=True,
                               check=True).stdout.splitlines():
        monitor = re.search(r'"summon-vmm",pid=(\d+).* ino:(\d+) ', line)
        if monitor and int(monitor[2]) in guests:
            found.append(int(monitor[1]))
    return found


def backend_settings(name, settings):
    lines = "".join(f'  {key} = "{value}"\n' for key, value in settings.items())
    return f'backend "{name}" {{\n{lines}}}' if settings else ""


class Summond:
    def __init__(self, config="", env=None, backend=BACKEND, network=True, port=5353,
                 settings=None, run=None):
        self.folder = Path(tempfile.mkdtemp(prefix="summond-e2e-"))
        self.run = Path(run or self.folder / "run")
        self.config = self.folder / "summond.conf"
        self.socket = self.run / "control.sock"
        self.log_path = self.folder / "log"
        self.env = {**os.environ, **(env or {})}
        self.process = None
        self.port = port
        self.config.write_text(f"""
state_dir = "{self.folder}/state"
run_dir = "{self.run}"
images = "{IMAGES}"
dns {{ listen = ["127.0.0.1@{self.port}"] }}
zone "example.test" {{ ns "ns1" {{ address = 127.0.0.1 }} }}
network {{ enabled = {str(network).lower()} }}
backend {{ default = "{backend}" }}
journal {{ flush = 20ms }}
{config}
{backend_settings(backend, {**BACKENDS.get(backend, {}), **(settings or {})})}
""")

    # --- its life ---

    def start(self, wait=True):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen([SUMMOND, "-c", self.config], env=self.env,
                                        stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        if wait:
            wait_for(self.is_serving, f"summond to serve; its log:\n{self.log()}")
        return self

    def is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"summond ended with {self.process.returncode}:\n{self.log()}")
        try:
            return self.get("/v1/status")["serving"]
        except (OSError, http.client.HTTPException):
            return False

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        self.process.wait(HANG)

    def stop(self):
        """Ends it and everything it started, and removes its folder."""
        if self.process and self.process.poll() is None:
            try:
                wait_for(lambda: not self.end_guests(), "guests to end")
            except (OSError, http.client.HTTPException):
                pass
            self.kill(signal.SIGTERM)
        for pid in self.monitors():
            os.kill(pid, signal.SIGKILL)
        subprocess.run(["ip", "link", "del", "summon0"], stderr=subprocess.DEVNULL, check=False)
        subprocess.run(["rm", "-rf", self.folder, self.run], check=True)

    def end_guests(self):
        """Removes the services of all guests that there are, and returns these. Others may have waited for
        their place."""
        guests = self.get("/v1/instances")["instances"]
        for name in {guest["service"].split("#")[0] for guest in guests}:  # of several machines
            self.call("DELETE", f"/v1/services/{name}")
        return guests

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind:
            print("--- log of summond\n" + self.log())
        self.stop()

    def log(self):
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def monitors(self):
        """The pids of the processes that run this daemon's guests."""
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                words = (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if b"qemu-system" in words and str(self.folder).encode() in words:
                found.append(int(entry.name))
        return found + vmm_monitors(self.run)

    # --- the API ---

    def call(self, method, path, body=None, raw=False):
        connection = UnixConnection(self.socket)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        connection.request(method, path, body=body)
        response = connection.getresponse()
        data = response.read()
        connection.close()
        if raw:
            return response.status, data.decode(errors="replace")
        return response.status, json.loads(data) if data else None

    def get(self, path):
        status, body = self.call("GET", path)
        assert status == 200, (path, status, body)
        return body

    def put(self, path, body):
        status, answer = self.call("PUT", path, body)
        assert status in (200, 201), (path, status, answer)
        return answer

    def service(self, name):
        return self.get(f"/v1/services/{quote(name)}")

    def state(self, name):
        return self.service(name)["state"]

    def wait_state(self, name, *states):
        return wait_for(lambda: self.state(name) in states and self.state(name),
                        f"{name} to be {' or '.join(states)}")

    def summons(self, name):
        return self.get(f"/v1/summons?service={name}")["summons"]

    def sent_again_in_time(self, name):
        """How many packets its clients may have sent again though nothing was lost: while the first
        one waited at the door, or, where that took as long as their patience, as the door opened."""
        slow = [summon for summon in self.summons(name) if summon["elapsed_ns"] > 0.9e9]
        return self.service(name)["doorbell"]["repeated"] + len(slow)

    def policy(self, name, **options):
        return self.put(f"/v1/policies/{name}", options)

    def add(self, name, **definition):
        return self.put(f"/v1/services/{name}", definition)

    def remove_all(self):
        """All services, and with them all guests."""
        for service in self.get("/v1/services")["services"]:
            self.call("DELETE", f"/v1/services/{service['name']}")
        wait_for(lambda: not self.get("/v1/instances")["instances"], "guests to end")

    def ctl(self, *words, check=True):
        done = subprocess.run([SUMMONCTL, "--socket", self.socket, *map(str, words)],
                              capture_output=True, text=True, timeout=HANG, check=False)
        if check:
            assert done.returncode == 0, (words, done.returncode, done.stdout, done.stderr)
        return done

    # --- its clients ---

    def dig_start(self, name, *words):
        return subprocess.Popen(["dig", "@127.0.0.1", "-p", str(self.port), name, "+tries=1",
                                 "+time=10", *words], stdout=subprocess.PIPE, text=True)

    def dig(self, name, *words):
        return Answer(self.dig_start(name, *words).communicate(timeout=HANG)[0])


class Call:
    """A request of the API whose answer is waited for later."""

    def __init__(self, summond, method, path, body=None):
        self.connection = UnixConnection(summond.socket)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body)
        self.connection.request(method, path, body=body)

    def answer(self):
        """Its status and what is said."""
        response = self.connection.getresponse()
        text = response.read()
        self.connection.close()
        return response.status, text

    def status(self):
        return self.answer()[0]


def at_once(summond, *calls):
    """The statuses of what is asked in this order, while the store is busy with other things."""
    busy = [Call(summond, "PUT", f"/v1/policies/busy{i}", {"ttl": f"{i % 50}s"})
            for i in range(CONNECTIONS - len(calls))]
    under_way = []
    for call in calls:
        under_way.append(Call(summond, *call))
        time.sleep(0.002)
    statuses = [call.status() for call in under_way]
    assert {call.status() for call in busy} <= {200, 201}
    return statuses


def curl(url, *words):
    """(status, body) of one request that must connect at once."""
    done = subprocess.run(["curl", "-sS", "--max-time", "20", "-w", "\n%{http_code}", *words, url],
                          capture_output=True, timeout=HANG, check=False)
    assert done.returncode == 0, done.stderr.decode()
    body, _, status = done.stdout.rpartition(b"\n")
    return int(status), body

# SPDX-License-Identifier: ISC
"""A stand-in for summond's control API: enough of daemon/openapi.json to try a client on."""
import http.server
import json
import socketserver
import threading
from urllib.parse import parse_qs, unquote, urlsplit

DEFAULTS = {"idle_after": "10min", "start": "cold", "ready": "console", "retire": "destroy"}
SUMMON = {
    "id": 7, "service": "www.example.test", "cause": "query", "outcome": "ready",
    "started": "2026-01-01T12:00:00.000Z", "elapsed_ns": 20_000_000, "waiters": 2, "detail": "",
}
STAGES = [{"name": "admitted", "at_ns": 100_000}, {"name": "created", "at_ns": 5_000_000},
          {"name": "ready", "at_ns": 19_000_000}]


class Failure(Exception):
    def __init__(self, status, message):
        super().__init__(message)
        self.status = status


class State:
    def __init__(self):
        self.services = {}
        self.policies = {"default": dict(DEFAULTS)}
        self.sites = {}
        self.calls = []  # (method, path, body)
        self.site_dir = None
        self.check_ok = True
        self.max_site = 1 << 20

    def service(self, name):
        if name not in self.services:
            raise Failure(404, f"there is no service {name}")
        return self.services[name]

    def put_service(self, name, definition):
        for key in definition:
            if key not in ("backend", "policy", "image", "initrd", "cmdline", "memory", "vcpus",
                           "ipv4", "ipv6", "addresses", "domain_xml", "kernel_line", "names", "domain_name",
                           "uuid", "nics", "disks", "rumprun_config"):
                raise Failure(400, f"{key}: unknown member")
        if definition.get("policy", "default") not in self.policies:
            raise Failure(400, f"there is no policy {definition['policy']}")
        new = name not in self.services
        number = len(self.services) + 1 if new else self.services[name]["id"]
        self.services[name] = {
            "name": name, "id": number, "mac": "02:00:00:00:00:01", "state": "asleep",
            "pinned": False, "since": "2026-01-01T12:00:00.000Z", "failures": 0, "waiters": 0,
            "memory": "32MiB", "vcpus": 1, "backend": "sim", "policy": "default", "addresses": [f"10.77.0.{number + 1}"], **definition}
        for address in reversed(self.services[name]["addresses"]):
            self.services[name]["ipv6" if ":" in address else "ipv4"] = address
        return (201 if new else 200), self.services[name]

    def put_site(self, name, content):
        if len(content) > self.max_site:
            raise Failure(413, "the body is larger than 1MiB")
        status = 200
        if name not in self.services:
            status, _ = self.put_service(name, {"image": "website"})
        path = f"{self.site_dir}/{name}.tar"
        with open(path, "wb") as file:
            file.write(content)
        self.sites[name] = content
        self.services[name]["initrd"] = path
        return status, self.services[name]

    def wake(self, name, body):
        self.service(name)
        if name.startswith("broken"):
            raise Failure(502, "the guest ended before it was ready")
        if not body.get("wait"):
            return 202, {"summon": 7}
        self.services[name]["state"] = "awake"
        return 200, {"summon": 7, "state": "awake", "elapsed_ns": 12_345_678}

    def policy(self, name):
        if name not in self.policies:
            raise Failure(404, f"there is no policy {name}")
        return {"name": name, "options": self.policies[name], "services": sum(
            service["policy"] == name for service in self.services.values())}

    def set_policy(self, name, options, base):
        for key in options:
            if key not in DEFAULTS:
                raise Failure(400, f"{key}: unknown option")
        self.policies[name] = {**base, **options}
        return self.policy(name)


def answer(state, method, path, query, body):
    """(status, object); an object that is a string is a text, a list a stream of events."""
    parts = path.strip("/").split("/")[1:]
    key = (method, *[part if i % 2 == 0 else "*" for i, part in enumerate(parts)])
    name = parts[1] if len(parts) > 1 else None
    if key == ("GET", "status"):
        return 200, {"version": "9.9", "config": "/etc/summond/summond.conf", "serving": True, "uptime_ns": 93_784_000_000_000,
                     "services": len(state.services), "awake": 0, "counters": {"dns": {"udp_queries": 42}},
                     "backends": [{"name": "sim", "summary": "a fake hypervisor", "description": "a fake",
                                  "usable": True, "failure": "", "capabilities": ["suspend"]},
                                 {"name": "libvirt", "summary": "libvirt", "description": "",
                                  "usable": False, "failure": "nobody answers",
                                  "capabilities": []}]}
    if key == ("GET", "check"):
        level = "ok" if state.check_ok else "error"
        return 200, {"checks": [{"name": "dns", "ok": state.check_ok, "level": level,
                                 "message": "listens on 127.0.0.1@53"}]}
    if key == ("GET", "services"):
        return 200, {"services": [state.services[name] for name in sorted(state.services)]}
    if key == ("GET", "services", "*"):
        figures = {"figures": {"mode": "kvm", "exits": 7}} if query.get("figures") == ["1"] else {}
        return 200, {**state.service(name), **figures}
    if key == ("PUT", "services", "*"):
        return state.put_service(name, json.loads(body))
    if key == ("PATCH", "services", "*"):
        state.service(name).update(json.loads(body))
        return 200, state.services[name]
    if key == ("DELETE", "services", "*"):
        state.service(name)
        del state.services[name]
        return 204, None
    if len(parts) == 3 and parts[0] == "services":
        return service_call(state, method, name, parts[2], query, body)
    if key == ("GET", "policies"):
        return 200, {"policies": [state.policy(name) for name in sorted(state.policies)]}
    if key == ("GET", "policies", "*"):
        return 200, state.policy(name)
    if key == ("PUT", "policies", "*"):
        status = 200 if name in state.policies else 201
        return status, state.set_policy(name, json.loads(body), DEFAULTS)
    if key == ("PATCH", "policies", "*"):
        state.policy(name)
        return 200, state.set_policy(name, json.loads(body), state.policies[name])
    if key == ("DELETE", "policies", "*"):
        state.policy(name)
        if name == "default":
            raise Failure(409, "the default policy stays")
        del state.policies[name]
        return 204, None
    if key == ("GET", "policy-options"):
        return 200, {"options": [{"name": name, "default": value, "values": "a text", "help": "-"}
                                 for name, value in DEFAULTS.items()]}
    if key == ("GET", "summons"):
        quiet = query.get("service", ["www.example.test"])[0] != "www.example.test"
        return 200, {"summons": [] if quiet else [SUMMON]}
    if key == ("GET", "summons", "*"):
        if name != "7":
            raise Failure(404, f"there is no summon {name}")
        return 200, {**SUMMON, "stages": STAGES}
    if key == ("GET", "events"):
        return 200, [("transition", {"service": "www.example.test", "from": "asleep", "to": "starting",
                                     "event": "query", "summon": 7, "at": "2026-01-01T12:00:00.123Z"}),
                     ("summon", {**SUMMON, "stages": STAGES}),
                     ("service", {"name": "www.example.test", "change": "added"})]
    raise Failure(404, f"no such path: {path}")


def service_call(state, method, name, verb, query, body):
    if (method, verb) == ("PUT", "site"):
        return state.put_site(name, body)
    if (method, verb) == ("POST", "wake"):
        return state.wake(name, json.loads(body or "{}"))
    service = state.service(name)
    if (method, verb) == ("POST", "retire"):
        return 202, None
    if method == "POST" and verb in ("pin", "unpin"):
        service["pinned"] = verb == "pin"
        return 200, service
    if (method, verb) == ("GET", "log"):
        if "follow" in query:
            return 200, [("output", {"text": "hello\n"}), ("output", {"text": "wörld\n"})]
        return 200, "hello\nagain\n"
    raise Failure(404, "no such path")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def address_string(self):
        return "unix"

    def log_message(self, *_):
        pass

    def handle_any(self):
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = unquote(url.path)
        state = self.server.state
        state.calls.append((self.command, path, body))
        try:
            status, content = answer(state, self.command, path, parse_qs(url.query), body)
        except Failure as failure:
            status, content = failure.status, {"error": str(failure)}
        kind, data = "application/json", b""
        if isinstance(content, str):
            kind, data = "text/plain", content.encode()
        elif isinstance(content, list):
            kind = "text/event-stream"
            data = "".join(f"event: {name}\ndata: {json.dumps(event)}\n\n"
                           for name, event in content).encode()
        elif content is not None:
            data = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any


class Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


def serve(path, state):
    server = Server(path, Handler)
    server.state = state
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server

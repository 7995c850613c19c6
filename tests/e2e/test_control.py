# SPDX-License-Identifier: ISC
"""The control API as its OpenAPI document describes it, and what it makes of bad input."""
import json
import re
import socket
from pathlib import Path

import jsonschema
import pytest
from harness import BACKENDS, Call, HANG, IMAGES, SOURCE, Summond, UnixConnection, at_once, backend_settings, wait_for

NAME = "www.example.test"


@pytest.fixture(scope="module")
def summond():
    with Summond(backend="sim", network=False).start() as daemon:
        yield daemon


@pytest.fixture(scope="module")
def api():
    return json.loads((SOURCE / "daemon" / "openapi.json").read_text())


class Checker:
    """Holds an answer to the schema that the document gives for it."""

    def __init__(self, api):
        self.api = api

    def operation(self, method, path):
        for pattern, item in self.api["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path.split("?")[0]):
                if method.lower() in item:
                    return pattern, item[method.lower()]
        raise AssertionError(f"{method} {path} is not described")

    def check(self, method, path, status, body):
        pattern, operation = self.operation(method, path)
        responses = operation["responses"]
        response = responses.get(str(status))
        assert response, f"{method} {pattern} does not describe {status}"
        if "$ref" in response:
            response = self.api["components"]["responses"][response["$ref"].split("/")[-1]]
        content = response.get("content", {}).get("application/json")
        assert bool(content) == (body is not None), f"{method} {pattern}: the body of {status}"
        if content:
            schema = {**content["schema"], "components": self.api["components"]}
            jsonschema.Draft4Validator(schema).validate(body)
        return pattern


def test_every_operation_answers_as_described(summond, api):
    checker = Checker(api)
    seen = set()

    def call(method, path, body=None, expect=None):
        status, answer = summond.call(method, path, body)
        assert expect is None or status == expect, (method, path, status, answer)
        seen.add((method, checker.check(method, path, status, answer)))
        return answer

    call("GET", "/v1/status", expect=200)
    call("GET", "/v1/check", expect=200)
    assert call("GET", "/v1/openapi.json", expect=200) == api
    call("PUT", "/v1/policies/p", {"idle_after": "5min", "ready_port": 8080}, 201)
    call("PUT", "/v1/policies/p", {"idle_after": "5min"}, 200)
    call("PATCH", "/v1/policies/p", {"ttl": "1s"}, 200)
    call("GET", "/v1/policies/p", expect=200)
    call("GET", "/v1/policies", expect=200)
    call("GET", "/v1/policy-options", expect=200)
    call("PUT", f"/v1/services/{NAME}", {"policy": "p", "memory": "64MiB"}, 201)
    call("PUT", f"/v1/services/{NAME}", {"policy": "p", "memory": 67108864}, 200)
    call("PATCH", f"/v1/services/{NAME}", {"names": ["also.example.test"]}, 200)
    call("DELETE", "/v1/policies/p", expect=409)
    call("GET", f"/v1/services/{NAME}", expect=200)
    call("GET", f"/v1/services/{NAME}?figures=1", expect=200)
    call("GET", "/v1/services", expect=200)
    summon = call("POST", f"/v1/services/{NAME}/wake", {"wait": True}, 200)["summon"]
    assert call("POST", f"/v1/services/{NAME}/wake", expect=200)["summon"] == 0
    call("GET", "/v1/instances", expect=200)
    call("GET", "/v1/summons", expect=200)
    call("GET", f"/v1/summons/{summon}", expect=200)
    call("GET", "/v1/summons/999999", expect=404)
    call("GET", f"/v1/transitions?service={NAME}&limit=3", expect=200)
    call("POST", f"/v1/services/{NAME}/pin", expect=200)
    call("POST", f"/v1/services/{NAME}/unpin", expect=200)
    call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"}, 202)
    summond.wait_state(NAME, "asleep")
    call("POST", f"/v1/services/{NAME}/retire", expect=409)
    call("POST", f"/v1/services/{NAME}/wake", {"wiat": True}, 400)
    call("POST", f"/v1/services/{NAME}/retire", {"now": True}, 400)
    call("DELETE", "/v1/policies/default", expect=403)
    seen.add(("GET", "/v1/services/{name}/log"))
    assert summond.call("GET", f"/v1/services/{NAME}/log", raw=True)[0] == 200
    seen.add(("GET", "/v1/events"))  # below
    site = call("PUT", f"/v1/services/{NAME}/site", b"a tar, or not", 200)["initrd"]
    assert Path(site).read_bytes() == b"a tar, or not"
    other = call("PUT", f"/v1/services/{NAME}/site", b"another", 200)["initrd"]
    call("DELETE", f"/v1/services/{NAME}", expect=204)
    call("DELETE", "/v1/policies/p", expect=204)
    assert not Path(site).exists() and not Path(other).exists()
    call("GET", "/v1/zones", expect=200)
    call("GET", "/v1/zones/example.test", expect=200)
    call("GET", "/v1/zones/nothing.test", expect=404)
    [first] = call("POST", "/v1/zones/example.test/keys", {}, 201)["keys"]
    _, second = call("POST", "/v1/zones/example.test/keys", expect=201)["keys"]
    keys = "/v1/zones/example.test/keys"
    call("DELETE", f"{keys}/{first['tag']}", expect=409)
    call("POST", f"{keys}/{second['tag']}/activate", {}, 200)
    call("DELETE", f"{keys}/{first['tag']}", expect=200)
    call("DELETE", f"{keys}/{first['tag']}", expect=404)
    call("DELETE", f"{keys}/{second['tag']}", expect=409)
    assert not call("DELETE", f"{keys}/{second['tag']}?unsign=true", expect=200)["signed"]
    described = {(method.upper(), path) for path, item in api["paths"].items() for method in item
                 if method in ("get", "put", "post", "patch", "delete")}
    assert described == seen


BAD = [
    ("PUT", f"/v1/services/{NAME}", "{", 400, "line 1"),
    ("PUT", f"/v1/services/{NAME}", "[]", 400, "object"),
    ("PUT", f"/v1/services/{NAME}", '{"memory":"1MiB","memory":"2MiB"}', 400, "duplicate"),
    ("PUT", f"/v1/services/{NAME}", {"memroy": "32MiB"}, 400, "'memroy' is no key"),
    ("PUT", f"/v1/services/{NAME}", {"memory": "32"}, 400, "memory: '32' is not a size"),
    ("PUT", f"/v1/services/{NAME}", {"memory": -1}, 400, "memory: "),
    ("PUT", f"/v1/services/{NAME}", {"memory": 12}, 400, "1MiB"),
    ("PUT", f"/v1/services/{NAME}", {"vcpus": 0}, 400, "vcpus: "),
    ("PUT", f"/v1/services/{NAME}", {"ipv4": "10.77"}, 400, "ipv4: "),
    ("PUT", f"/v1/services/{NAME}", {"ipv4": "fd00::1"}, 400, "ipv4: "),
    ("PUT", f"/v1/services/{NAME}", {"ipv4": "10.77.0.1"}, 409, "gateway"),
    ("PUT", f"/v1/services/{NAME}", {"image": "../x"}, 400, "image: "),
    ("PUT", f"/v1/services/{NAME}", {"image": 7}, 400, "image: "),
    ("PUT", f"/v1/services/{NAME}", {"initrd": "/no/such/file"}, 400, "/no/such/file"),
    ("PUT", f"/v1/services/{NAME}", {"cmdline": "a\nb"}, 400, "cmdline: "),
    ("PUT", f"/v1/services/{NAME}", {"policy": "none"}, 400, "policy: there is no 'none'"),
    ("PUT", f"/v1/services/{NAME}", {"backend": "xen"}, 400, "backend: 'xen'"),
    ("PUT", "/v1/services/www.elsewhere.test", {}, 400, "in no zone"),
    ("PUT", "/v1/services/bad%20name.example.test", {}, 400, "bad name"),
    ("PUT", "/v1/services/..", {}, None, ""),
    ("GET", "/v1/services/nobody.example.test", None, 404, "nobody"),
    ("DELETE", "/v1/services/nobody.example.test", None, 404, "nobody"),
    ("POST", "/v1/services/nobody.example.test/wake", {}, 404, "nobody"),
    ("PUT", "/v1/policies/p", {"idel_after": "1s"}, 400, "did you mean"),
    ("PUT", "/v1/policies/p", {"idle_after": "soon"}, 400, "idle_after"),
    ("PUT", "/v1/policies/p", {"ttl": "2min", "idle_after": "1min"}, 400, "ttl"),
    ("PUT", "/v1/policies/p", {"start": True}, 400, "start"),
    ("PUT", "/v1/policies/P%20Q", {}, 400, "P Q"),
    ("DELETE", "/v1/policies/default", None, 403, "default"),
    ("PATCH", "/v1/policies/none", {}, 404, "none"),
    ("PATCH", "/v1/services/none.example.test", {}, 404, "none"),
    ("GET", "/v1/summons?limit=0", None, 400, "limit"),
    ("GET", "/v1/summons?before=x", None, 400, "before"),
    ("GET", "/v1/summons/x", None, 404, "number"),
    ("GET", "/v1/transitions?service=nobody.example.test", None, 404, "nobody"),
    ("POST", "/v1/services", {}, 405, ""),
    ("GET", "/v2/anything", None, 404, ""),
]


@pytest.mark.parametrize("method,path,body,status,words", BAD)
def test_bad_input_is_named_and_changes_nothing(summond, method, path, body, status, words):
    before = summond.get("/v1/services"), summond.get("/v1/policies")
    got, answer = summond.call(method, path, body)
    assert got == status if status else 400 <= got < 500, answer
    assert words in answer["error"]
    assert (summond.get("/v1/services"), summond.get("/v1/policies")) == before


def test_a_refused_definition_gives_no_address_away(summond):
    address = summond.add(NAME)["ipv4"]
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    status, _ = summond.call("PUT", f"/v1/services/{NAME}", {"initrd": "/no/such/file"})
    assert status == 400
    assert summond.add("other.example.test")["ipv4"] != address
    assert summond.add(NAME)["ipv4"] == address, "a name keeps its address for ever"
    for name in (NAME, "other.example.test"):
        summond.call("DELETE", f"/v1/services/{name}")


def test_a_file_of_the_users_is_left_alone(summond):
    kept = summond.folder / "state" / "kept"
    (summond.folder / "state" / "sites").mkdir(exist_ok=True)
    kept.write_text("mine")
    summond.add(NAME, initrd=f"{summond.folder}/state/sites/../kept")
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    summond.add(NAME)  # the storage thread does one thing after the other
    assert kept.exists()
    summond.call("DELETE", f"/v1/services/{NAME}")


def test_a_site_that_another_service_uses_too_stays(summond):
    """As of one that was made after the other's definition."""
    OTHER = "other.example.test"
    sites = summond.folder / "state" / "sites"

    def upload():
        return summond.call("PUT", f"/v1/services/{NAME}/site", b"tar")[1]["initrd"]

    first = upload()
    summond.add(OTHER, image="website", initrd=first)
    second = upload()
    assert Path(first).exists() and Path(second).exists()
    summond.add(OTHER, image="website", initrd=second)
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    summond.policy("used")  # the storage thread does one thing after the other
    assert [str(site) for site in sites.iterdir()] == [second]
    assert summond.call("DELETE", f"/v1/services/{OTHER}")[0] == 204
    summond.call("DELETE", "/v1/policies/used")
    assert not list(sites.iterdir())


def test_memory_that_was_given_outlives_a_new_site(summond):
    """Memory that nobody gave follows the size of the site."""
    def upload(size):
        status, service = summond.call("PUT", f"/v1/services/{NAME}/site", bytes(size << 20))
        assert status in (200, 201), service
        return int(service["memory"].removesuffix("MiB"))

    base = upload(0)
    assert upload(1) == base + 1
    assert upload(3) == base + 3
    assert summond.call("PATCH", f"/v1/services/{NAME}", {"memory": "200MiB"})[0] == 200
    assert upload(2) == 200
    summond.call("DELETE", f"/v1/services/{NAME}")


def test_memory_that_nobody_gave_follows_a_new_initrd(summond):
    files = {size: summond.folder / f"initrd{size}" for size in (1, 2, 40)}
    for size, file in files.items():
        file.write_bytes(bytes(size << 20))

    def patch(size, **more):
        status, service = summond.call("PATCH", f"/v1/services/{NAME}",
                                       {"initrd": str(files[size]), **more})
        assert status == 200, service
        return int(service["memory"].removesuffix("MiB"))

    base = int(summond.add(NAME, initrd=str(files[1]))["memory"].removesuffix("MiB")) - 1
    assert patch(40) == base + 40
    assert patch(2) == base + 2
    assert patch(1, memory=f"{base + 1}MiB") == base + 1
    assert patch(1, memory="200MiB") == 200
    assert patch(2) == 200
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"initrd": str(files[40]), "memory": "8MiB"})
    assert status == 400 and "the initrd alone takes 40MiB" in answer["error"]
    summond.call("DELETE", f"/v1/services/{NAME}")


@pytest.mark.skipif(not (IMAGES / "website.elf").exists(), reason="built without guests")
def test_a_site_that_asks_for_more_memory_than_there_is_is_refused():
    limits = 'limits { memory = "64MiB" }\nguest { memory = "32MiB" }'
    with Summond(limits, backend="sim", network=False, port=5357).start() as summond:
        assert summond.call("PUT", f"/v1/services/{NAME}/site", bytes(32 << 20))[0] == 201
        status, answer = summond.call("PUT", f"/v1/services/{NAME}/site", bytes(33 << 20))
        assert status == 400 and "memory: 65MiB is more than all guests may have" in answer["error"]
        assert summond.service(NAME)["memory"] == "64MiB"
        assert summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})[0] == 200
        assert len(list((summond.folder / "state" / "sites").iterdir())) == 1


def test_a_site_that_comes_while_another_change_is_on_its_way_undoes_nothing(summond):
    changes = [("PATCH", "", {"cmdline": "sim.boot_delay=7ms"}), ("PUT", "/site", bytes(1 << 20))]
    lost = []
    for first, second in (changes, changes[::-1]):
        for _ in range(10):
            summond.add(NAME, image="website", cmdline="before")
            statuses = at_once(summond, *[(method, f"/v1/services/{NAME}{rest}", body)
                                          for method, rest, body in (first, second)])
            statuses = {change[0]: status for change, status in zip((first, second), statuses)}
            assert set(statuses.values()) <= {200, 409}, statuses
            service = summond.service(NAME)
            assert ("initrd" in service) == (statuses["PUT"] == 200)
            assert (service["cmdline"] != "before") == (statuses["PATCH"] == 200)
            lost.append(409 in statuses.values())
    assert any(lost), "none met another on its way"
    summond.call("DELETE", f"/v1/services/{NAME}")
    for policy in summond.get("/v1/policies")["policies"]:
        if policy["name"].startswith("busy"):
            summond.call("DELETE", f"/v1/policies/{policy['name']}")


def test_a_reason_that_was_cut_within_a_letter_is_still_told():
    env = {"SUMMOND_LOG_FORMAT": "json"}
    with Summond(backend="sim", network=False, port=5355, env=env).start() as summond:
        for padding in ("", "x"):
            summond.add(NAME, cmdline=f"sim.{padding}{'ö' * 600}=1")
            assert summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})[0] == 502
        assert [row["outcome"] for row in summond.summons(NAME)] == ["failed", "failed"]
        assert summond.service(NAME)["last_error"]
        failed = [json.loads(line) for line in summond.log().splitlines() if "failed: " in line]
        assert len(failed) == 2


def test_a_policy_that_a_backend_cannot_follow_is_refused():
    config = 'backend "sim" { capabilities = "console" }'
    with Summond(config, backend="sim", network=False, port=5354).start() as summond:
        summond.policy("s", start="suspended")
        status, body = summond.call("PUT", f"/v1/services/{NAME}", {"policy": "s"})
        assert status == 400 and "cannot do" in body["error"]
        summond.add(NAME)
        status, body = summond.call("PUT", "/v1/policies/default", {"retire": "suspend"})
        assert status == 400 and NAME in body["error"]


@pytest.mark.skipif(not (IMAGES / "hello.elf").exists() or not Path(BACKENDS["vmm"]["monitor"]).exists(),
                    reason="built without guests or vmm")
def test_a_policy_is_for_the_backend_that_a_service_has_from_now_on():
    config = 'backend "sim" { capabilities = "console" }\n' + backend_settings("vmm", BACKENDS["vmm"])
    with Summond(config, backend="sim", network=False, port=5356).start() as summond:
        summond.policy("s")
        summond.add(NAME, policy="s", image="hello")
        assert summond.call("POST", f"/v1/services/{NAME}/wake", {"wait": True})[0] == 200
        summond.add(NAME, policy="s", image="hello", backend="vmm")
        assert summond.state(NAME) == "awake", "the guest of the backend before is there"
        status, body = summond.call("PATCH", "/v1/policies/s", {"retire": "suspend"})
        assert status == 200, body
        summond.add("other.example.test", policy="s", image="hello", backend="vmm")
        status, body = summond.call("PUT", f"/v1/services/{NAME}", {"policy": "s", "image": "hello"})
        assert status == 400 and "cannot do" in body["error"]


def test_patches_at_the_same_time_all_count(summond):
    summond.policy("both")
    for i in range(1, 20):
        changes = {"hold": f"{i}ms", "min_life": f"{i}s", "ready_port": str(i)}
        connections = []
        for option, value in changes.items():
            connection = UnixConnection(summond.socket)
            connection.request("PATCH", "/v1/policies/both", json.dumps({option: value}))
            connections.append(connection)
        for connection in connections:
            assert connection.getresponse().status == 200
            connection.close()
        options = summond.get("/v1/policies/both")["options"]
        assert {option: options[option] for option in changes} == changes
    summond.call("DELETE", "/v1/policies/both")


def test_events_are_streamed(summond):
    summond.add(NAME)
    connection = UnixConnection(summond.socket)
    connection.request("GET", "/v1/events")
    response = connection.getresponse()
    assert response.getheader("Content-Type").startswith("text/event-stream")
    summond.dig(NAME)
    seen, event = [], None
    while ("summon", "ready") not in seen:
        line = response.readline().decode().strip()
        if line.startswith("event:"):
            event = line.split(":", 1)[1].strip()
        if line.startswith("data:"):
            data = json.loads(line.split(":", 1)[1])
            seen.append((event, data.get("to") or data.get("outcome")))
    assert ("transition", "awake") in seen
    connection.close()
    summond.call("DELETE", f"/v1/services/{NAME}")


def test_a_long_list_is_whole(summond):
    """Longer than what is written in one turn of the loop; also while services come and go."""
    before = [service["name"] for service in summond.get("/v1/services")["services"]]
    summond.policy("many", instances="shared:64", ready="guest")
    names = [f"n{i}.example.test" for i in range(5)]
    for name in names:
        summond.add(name, policy="many")
        assert summond.call("POST", f"/v1/services/{name}/wake", {"wait": True})[0] == 200
    for _ in range(20):
        lists = [Call(summond, "GET", f"/v1/{what}") for what in ("services", "instances")]
        changes = [Call(summond, "DELETE", "/v1/services/between.example.test"),
                   Call(summond, "PUT", "/v1/services/between.example.test", {})]
        services, instances = (json.loads(call.answer()[1]) for call in lists)
        found = [service["name"] for service in services["services"]]
        assert [name for name in found if "between" not in name] == before + names
        assert [len(service["machines"]) for service in services["services"][len(before):][:5]] == [63] * 5
        assert [instance["service"] for instance in instances["instances"]] == names
        for change in changes:
            change.answer()
    for name in (*names, "between.example.test"):
        summond.call("DELETE", f"/v1/services/{name}")
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "guests to end")


def test_listeners_do_not_shut_out_who_asks(summond):
    listeners = []
    for _ in range(48):
        client = UnixConnection(summond.socket)
        client.request("GET", "/v1/events")
        assert client.getresponse().status == 200
        listeners.append(client)
    status, body = summond.call("GET", "/v1/events")
    assert status == 503 and "listen" in body["error"]
    assert summond.get("/v1/status")["serving"]
    for client in listeners:
        client.sock.close()
        client.close()


def test_a_client_that_leaves_while_it_waits_harms_nobody(summond):
    summond.add(NAME, cmdline="sim.boot_delay=300ms")
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(HANG)
    client.connect(str(summond.socket))
    body = b'{"wait": true}'
    client.sendall(b"POST /v1/services/" + NAME.encode() + b"/wake HTTP/1.1\r\nHost: x\r\n"
                   b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    wait_for(lambda: summond.state(NAME) != "asleep", "the wake to be heard")
    client.close()
    summond.wait_state(NAME, "awake")
    summond.call("DELETE", f"/v1/services/{NAME}")


def test_a_guest_that_is_still_to_end_exists(summond):
    """Also where its service was removed, and another of that name has come."""
    summond.add(NAME, cmdline="sim.stop_delay=2s")
    assert summond.dig(NAME).addresses
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    summond.add(NAME)
    [guest] = summond.get("/v1/instances")["instances"]
    assert (guest["service"], guest["state"]) == (NAME, "stopping")
    assert summond.state(NAME) == "asleep"
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "it to end")
    summond.call("DELETE", f"/v1/services/{NAME}")

# SPDX-License-Identifier: ISC
"""Services with several machines, on the sim backend: who gets which, and what becomes of them."""
import os
import random
import re
import shutil
import sqlite3
import tempfile

import pytest
from harness import Summond, wait_for

NAME = "www.example.test"
SECOND, THIRD = NAME + "%232", NAME + "%233"
# Clients, all of them on the loopback.
ANN, BOB, CEM, DEE = "127.0.0.2", "127.0.0.3", "127.0.0.4", "127.0.0.5"
CONFIG = """
network { pool = "10.77.0.0/24", pool6 = "fd77::/120" }
wake { per_source = none; per_service = none; total = none }
zone "77.10.in-addr.arpa" { ns "ns1.example.test" {} }
backend "sim" { boot_delay = 1ms; persist = yes }
"""
PLAIN = {"ready": "guest", "idle_after": "1h"}


ZONE_FILE = """shop 60 IN HTTPS 1 . alpn=h2
alias 60 IN CNAME shop
"""


@pytest.fixture(scope="module")
def summond(tmp_path_factory):
    zone = tmp_path_factory.mktemp("zones") / "file.zone"
    zone.write_text(ZONE_FILE)
    file = f'zone "file.test" {{ ns "ns1" {{ address = 127.0.0.1 }}, file = "{zone}" }}\n'
    with Summond(file + CONFIG, backend="sim", network=False).start() as daemon:
        yield daemon


@pytest.fixture(autouse=True)
def clean(summond):
    yield
    summond.remove_all()
    assert not rows(summond), "nothing is left"
    seats = summond.folder / "state" / "seats"
    wait_for(lambda: not list(seats.glob("*")), "nothing to be known of whose they were")


def rows(summond):
    """The services in the store, with their numbers: of a copy, as the daemon has it to itself."""
    with tempfile.TemporaryDirectory() as folder:
        for file in (summond.folder / "state").glob("summond.db*"):
            shutil.copy(file, folder)
        db = sqlite3.connect(f"{folder}/summond.db")
        found = dict(db.execute("SELECT name, id FROM service ORDER BY name"))
        db.close()
    return found


def serve(summond, instances, **options):
    summond.policy("many", instances=instances, **{**PLAIN, **options})
    return summond.add(NAME, policy="many")


def reshape(summond, instances, status=200):
    got, answer = summond.call("PATCH", "/v1/policies/many", {"instances": instances})
    assert got == status, answer
    return answer


def machines(summond):
    """All of them, the first one first."""
    service = summond.service(NAME)
    return [service, *service.get("machines", [])]


def addresses(summond):
    return [machine["ipv4"] for machine in machines(summond)]


def ask(summond, client, kind="A"):
    answer = summond.dig(NAME, kind, "-b", client)
    assert answer.status == "NOERROR", answer.text
    [address] = answer.addresses
    return address


def generation(summond, name):
    [found] = [i for i in summond.get("/v1/instances")["instances"] if i["service"] == name]
    return found["generation"]


def retire(summond, name, how="destroy", state="asleep"):
    assert summond.call("POST", f"/v1/services/{name}/retire", {"how": how})[0] == 202
    summond.wait_state(name.replace("%23", "#"), state)


def test_every_client_in_a_machine_of_its_own(summond):
    serve(summond, "per-client:2")
    first, second = addresses(summond)
    assert ask(summond, ANN) == first and ask(summond, BOB) == second
    assert ask(summond, ANN) == first and ask(summond, BOB) == second
    assert [machine["state"] for machine in machines(summond)] == ["awake", "awake"]
    assert [machine["client"] for machine in machines(summond)] == [ANN, BOB]
    assert generation(summond, NAME) != generation(summond, NAME + "#2")
    refused = summond.dig(NAME, "-b", CEM)
    assert refused.status == "SERVFAIL" and refused.ede == 14
    assert refused.ede_text == "2 clients have a machine of it each, and there are no more"
    assert len(summond.summons(NAME)) == 1
    [cause] = [s["cause"] for s in summond.get(f"/v1/summons?service={SECOND}")["summons"]]
    assert cause == f"query A {BOB}"
    # Each by both families, and back from its address to the one name.
    six = [machine["ipv6"] for machine in machines(summond)]
    assert [ask(summond, ANN, "AAAA"), ask(summond, BOB, "AAAA")] == six
    back = ".".join(reversed(second.split("."))) + ".in-addr.arpa"
    assert f"PTR\t{NAME}." in summond.dig(back, "PTR").text


def test_by_every_name_and_kind(summond):
    """Another name, an alias, a binding with its addresses, TCP, and answers that go out at once."""
    summond.policy("many", instances="per-client:2", answer="at-once", **PLAIN)
    service = summond.add("shop.file.test", policy="many", names=["www.file.test"])
    first, second = service, service["machines"][0]
    both = {ANN: first, BOB: second}
    for client, machine in both.items():
        for name, *words in [("shop.file.test",), ("www.file.test",), ("alias.file.test",),
                             ("shop.file.test", "+tcp")]:
            got = summond.dig(name, "-b", client, *words)
            assert got.addresses == [machine["ipv4"]], got.text
        bound = summond.dig("shop.file.test", "HTTPS", "-b", client)
        assert sorted(bound.addresses) == sorted([machine["ipv4"], machine["ipv6"]]), bound.text
    assert summond.dig("alias.file.test", "-b", CEM).status == "SERVFAIL"


def test_a_machine_that_is_free_again(summond):
    serve(summond, "per-client:2")
    first, second = addresses(summond)
    ask(summond, ANN), ask(summond, BOB)
    old = generation(summond, NAME)
    retire(summond, NAME)
    assert ask(summond, CEM) == first
    assert generation(summond, NAME) > old
    # Whoever comes back gets what it had, where that is free.
    retire(summond, NAME)
    retire(summond, SECOND)
    assert ask(summond, BOB) == second
    assert ask(summond, CEM) == first


def test_what_rests_is_its_clients_until_another_has_to_have_it(summond):
    serve(summond, "per-client:2", retire="suspend")
    first, second = addresses(summond)
    ask(summond, ANN), ask(summond, BOB)
    kept, given = generation(summond, NAME), generation(summond, NAME + "#2")
    retire(summond, NAME, "suspend", "suspended")
    assert ask(summond, ANN) == first  # and goes on with it
    assert generation(summond, NAME) == kept
    retire(summond, SECOND, "suspend", "suspended")
    assert ask(summond, CEM) == second  # a new one
    assert generation(summond, NAME + "#2") > given
    assert machines(summond)[1]["client"] == CEM
    assert summond.dig(NAME, "-b", BOB).status == "SERVFAIL"


def test_shared_by_a_few(summond):
    serve(summond, "shared:3")
    clients = [f"127.0.1.{i}" for i in range(1, 41)]
    given = {client: ask(summond, client) for client in clients}
    assert set(given.values()) == set(addresses(summond))
    assert all(ask(summond, client) == given[client] for client in clients)
    assert "client" not in summond.service(NAME)
    # With one less, only its own clients go elsewhere.
    gone = addresses(summond)[2]
    reshape(summond, "shared:2")
    for client in clients:
        now = ask(summond, client)
        assert now == given[client] or given[client] == gone
    assert list(rows(summond)) == [NAME, NAME + "#2"]


def test_more_and_fewer_and_none(summond):
    one = serve(summond, "one")
    assert ask(summond, ANN) == one["ipv4"] == ask(summond, BOB)
    before = generation(summond, NAME)
    reshape(summond, "per-client:3")
    assert list(rows(summond)) == [NAME, NAME + "#2", NAME + "#3"]
    three = addresses(summond)
    assert len(set(three)) == 3 and three[0] == one["ipv4"]
    # What both have used is nobody's own.
    given = {ask(summond, client) for client in (ANN, BOB, CEM)}
    assert given == set(three)
    assert generation(summond, NAME) > before
    reshape(summond, "one")
    assert list(rows(summond)) == [NAME]
    wait_for(lambda: len(summond.get("/v1/instances")["instances"]) <= 1, "the others to end")
    assert ask(summond, DEE) == one["ipv4"] == ask(summond, BOB)
    # The same name gets the same addresses again, and nobody else meanwhile.
    assert summond.add("other.example.test")["ipv4"] not in three
    reshape(summond, "shared:3")
    assert addresses(summond) == three


def test_a_change_is_one_of_all_machines(summond):
    serve(summond, "per-client:2")
    ask(summond, ANN), ask(summond, BOB)
    assert summond.call("PATCH", f"/v1/services/{NAME}", {"cmdline": "x=1"})[0] == 200
    assert [machine["cmdline"] for machine in machines(summond)] == ["x=1", "x=1"]
    summond.policy("alone", **PLAIN)
    assert summond.call("PATCH", f"/v1/services/{NAME}", {"policy": "alone"})[0] == 200
    assert list(rows(summond)) == [NAME]
    assert summond.call("PATCH", f"/v1/services/{NAME}", {"policy": "many"})[0] == 200
    assert len(machines(summond)) == 2


def test_what_cannot_be(summond):
    serve(summond, "one")
    error = reshape(summond, "per-client:65", 400)["error"]
    assert "instances" in error and "per-client:N" in error
    # Too few addresses: nothing has changed, and what was claimed is free again.
    summond.policy("greedy", instances="shared:64", **PLAIN)
    for i in range(3):
        summond.add(f"a{i}.example.test", policy="greedy")
    before = rows(summond)
    status, answer = summond.call("PUT", "/v1/services/b.example.test", {"policy": "greedy"})
    assert status == 507 and "no address is left in 10.77.0.0/24" in answer["error"], answer
    assert "b.example.test#" in answer["error"]
    assert reshape(summond, "shared:64", 507)["error"].startswith(f"service {NAME}: ")
    assert rows(summond) == before and len(machines(summond)) == 1
    assert summond.get("/v1/policies/many")["options"]["instances"] == "one"
    for name in before:
        if "#" not in name and name != NAME:
            assert summond.call("DELETE", f"/v1/services/{name}")[0] == 204
    assert list(rows(summond)) == [NAME]
    reshape(summond, "shared:2")
    for method, path, body in [("PUT", "", {}), ("PATCH", "", {"cmdline": "x"}),
                               ("DELETE", "", None)]:
        status, answer = summond.call(method, f"/v1/services/{SECOND}{path}", body)
        assert status == 409 and f"one of the machines of {NAME}" in answer["error"], answer
    assert summond.call("GET", f"/v1/services/{THIRD}")[0] == 404
    status, answer = summond.call("PATCH", f"/v1/services/{NAME}", {"nics": "eth0"})
    assert status == 400, answer


def test_over_a_restart(summond):
    serve(summond, "per-client:3")
    first, second, third = addresses(summond)
    assert [ask(summond, client) for client in (ANN, BOB)] == [first, second]
    lives = [generation(summond, NAME), generation(summond, NAME + "#2")]
    summond.kill()
    summond.start()
    assert addresses(summond) == [first, second, third]
    assert [ask(summond, client) for client in (BOB, CEM, ANN)] == [second, third, first]
    assert [generation(summond, NAME), generation(summond, NAME + "#2")] == lives
    assert summond.dig(NAME, "-b", DEE).status == "SERVFAIL"
    # What is not known to be unused is begun anew.
    summond.kill()
    (summond.folder / "state" / "seats" / str(rows(summond)[NAME])).unlink()
    summond.start()
    assert ask(summond, DEE) == first
    assert generation(summond, NAME) > lives[0]


def test_it_is_seen(summond):
    serve(summond, "per-client:2")
    ask(summond, ANN)
    assert summond.get("/v1/status")["services"] == 1
    listed = summond.ctl("list").stdout
    assert re.search(rf"^{NAME} +awake", listed, re.M)
    assert re.search(rf"^  #2 +asleep +.*{addresses(summond)[1]}", listed, re.M)
    assert summond.ctl("list", "--names").stdout == NAME + "\n"
    assert re.search(rf"client +{ANN}", summond.ctl("show", NAME).stdout)
    assert re.search(rf"machine_of +{NAME}", summond.ctl("show", NAME + "#2").stdout)
    why = summond.ctl("why", NAME).stdout
    assert f"{NAME} is awake" in why and f"{NAME}#2 sleeps: nobody has asked for it" in why
    assert "awake after" in summond.ctl("wake", NAME + "#2").stdout
    # An operator's is nobody's yet.
    old = generation(summond, NAME + "#2")
    assert ask(summond, BOB) == addresses(summond)[1]
    assert generation(summond, NAME + "#2") == old


def answered(summond, client):
    """The generation of the machine that the client is given; None where it gets none."""
    answer = summond.dig(NAME, "-b", client)
    if answer.status == "SERVFAIL":
        assert answer.ede in (14, 23), answer.text
        return None
    found = {machine["ipv4"]: machine for machine in machines(summond)}
    machine = found[answer.addresses[0]]
    assert machine["client"] == client
    return generation(summond, machine["name"])


@pytest.mark.parametrize("seed", range(int(os.environ.get("E2E_SEEDS", "3"))))
def test_nobody_gets_what_another_has_used(summond, seed):
    """Whatever happens to machines and to summond, a life is one client's."""
    choices = random.Random(seed)
    clients = [f"127.0.2.{i}" for i in range(1, 8)]
    owners, given = {}, 0
    serve(summond, "per-client:3", retire="suspend", backoff_first="0", backoff_max="0")

    def visit():
        nonlocal given
        client = choices.choice(clients)
        life = answered(summond, client)
        given += life is not None
        assert life is None or owners.setdefault(life, client) == client

    def rest():
        name = choices.choice([NAME, SECOND, THIRD])
        how = choices.choice(["suspend", "suspend", "destroy"])
        summond.call("POST", f"/v1/services/{name}/retire", {"how": how})

    def kill():
        summond.kill()
        summond.start()

    def open_to_all():
        reshape(summond, "one")
        address = summond.service(NAME)["ipv4"]
        assert {ask(summond, client) for client in clients} == {address}
        owners[generation(summond, NAME)] = "everybody"
        reshape(summond, "per-client:3")

    for _ in range(60):
        choices.choices([visit, rest, kill, open_to_all], [60, 30, 6, 4])[0]()
    assert given > 10

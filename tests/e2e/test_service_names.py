# SPDX-License-Identifier: ISC
"""Services with several names, on the sim backend."""
import threading

import pytest
from harness import Summond, wait_for

NAME = "www.example.test"
OTHERS = ["shop.example.test", "deep.under.www.example.test"]
ZONE_FILE = """static 60 IN A 192.0.2.9
alias 60 IN CNAME static
to-other 60 IN CNAME shop
* 60 IN A 192.0.2.10
sub 60 IN NS ns.elsewhere.test.
bound 60 IN HTTPS 1 . alpn=h2
"""
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond(tmp_path_factory):
    zone = tmp_path_factory.mktemp("zones") / "file.zone"
    zone.write_text(ZONE_FILE)
    config = f"""
zone "file.test" {{ ns "ns1" {{ address = 127.0.0.1 }}, file = "{zone}" }}
zone "77.10.in-addr.arpa" {{ ns "ns1.example.test" {{}} }}
"""
    with Summond(config, backend="sim", network=False).start() as daemon:
        yield daemon


def patch(summond, name, status=200, **changes):
    got, answer = summond.call("PATCH", f"/v1/services/{name}", changes)
    assert got == status, (got, answer)
    return answer


def generation(summond, name):
    [found] = [i for i in summond.get("/v1/instances")["instances"] if i["service"] == name]
    return found["generation"]


def test_every_name_wakes_the_same_guest(summond):
    service = summond.add(NAME, names=OTHERS, ipv6="fd00::80")
    assert service["names"] == sorted(OTHERS)
    assert summond.dig(OTHERS[0]).addresses == [service["ipv4"]]
    assert summond.state(NAME) == "awake"
    [summon] = summond.summons(NAME)
    assert summon["cause"] == f"query A 127.0.0.1 for {OTHERS[0]}"
    for name in [NAME, *OTHERS, OTHERS[1].upper()]:
        assert summond.dig(name).addresses == [service["ipv4"]]
        assert summond.dig(name, "AAAA").addresses == ["fd00::80"]
    assert len(summond.summons(NAME)) == 1
    assert len(summond.get("/v1/services")["services"]) == 1
    # Between the names there is one without records.
    assert summond.dig("under.www.example.test").status == "NOERROR"
    reverse = ".".join(reversed(service["ipv4"].split("."))) + ".in-addr.arpa"
    pointer = summond.dig(reverse, "PTR").text
    assert f"PTR\t{NAME}." in pointer and OTHERS[0] not in pointer


def test_queries_for_all_names_join_one_summon(summond):
    summond.add(NAME, names=OTHERS, cmdline="sim.boot_delay=400ms")
    queries = [summond.dig_start(name) for name in [NAME, *OTHERS] * 4]
    answers = [query.communicate()[0] for query in queries]
    address = summond.service(NAME)["ipv4"]
    assert all(f"\t{address}" in answer for answer in answers)
    [summon] = summond.summons(NAME)
    assert summon["outcome"] == "ready"


def test_names_come_and_go_without_touching_the_guest(summond):
    summond.add(NAME, cmdline="a b")
    summond.dig(NAME)
    born = generation(summond, NAME)
    assert summond.dig(OTHERS[0]).status == "NXDOMAIN"
    assert patch(summond, NAME, names=OTHERS)["cmdline"] == "a b"
    address = summond.service(NAME)["ipv4"]
    assert all(summond.dig(name).addresses == [address] for name in OTHERS)
    patch(summond, NAME, names=OTHERS[1:])
    assert summond.dig(OTHERS[0]).status == "NXDOMAIN"
    assert summond.dig(OTHERS[1]).addresses == [address]
    assert "names" not in patch(summond, NAME, names=[])
    assert summond.dig(OTHERS[1]).status == "NXDOMAIN"
    assert summond.state(NAME) == "awake" and generation(summond, NAME) == born
    assert len(summond.summons(NAME)) == 1


def test_names_change_beneath_a_guest_at_rest(summond):
    summond.policy("rests", retire="suspend", idle_after="300ms", min_life="0", ttl="0")
    summond.add(NAME, policy="rests")
    summond.dig(NAME)
    summond.wait_state(NAME, "suspended")
    born = generation(summond, NAME)
    patch(summond, NAME, names=OTHERS)
    assert summond.state(NAME) == "suspended"
    assert summond.dig(OTHERS[0]).addresses
    assert generation(summond, NAME) == born


def test_a_query_that_waits_survives_changes(summond):
    summond.policy("patient", hold="5s")
    summond.add(NAME, names=OTHERS, policy="patient", cmdline="sim.boot_delay=1s")
    waits = summond.dig_start(OTHERS[0])
    wait_for(lambda: summond.state(NAME) == "booting", "the guest to boot")
    patch(summond, NAME, names=[OTHERS[0], "more.example.test"])
    summond.policy("patient", hold="5s", ttl="7s")
    answer = waits.communicate()[0]
    assert f"\t7\tIN\tA\t{summond.service(NAME)['ipv4']}" in answer, answer


CONFLICTS = [
    (NAME, 400, "'www.example.test' is its own name already"),
    ("taken.example.test", 409, "is a name of taken.example.test"),
    ("also-taken.example.test", 409, "is a name of taken.example.test"),
    ("nobody.elsewhere.test", 400, "is in no zone of this server"),
    ("static.file.test", 409, "'static.file.test' has an address in its zone"),
    ("alias.file.test", 409, "'alias.file.test' is a CNAME"),
    ("x.sub.file.test", 409, "delegates to others"),
    ("ns1.example.test", 409, "'ns1.example.test' has an address in its zone"),
    ("*.example.test", 400, "0x2a"),
    ("a..b", 400, "a..b"),
    ("x" * 300, 400, "names: "),
    ("shop.example.test.", 400, "'shop.example.test' comes twice"),
    (7, 400, "write a list of names"),
]


@pytest.mark.parametrize("name,status,why", CONFLICTS, ids=[str(c[0])[:24] for c in CONFLICTS])
def test_names_that_cannot_be(summond, name, status, why):
    summond.add("taken.example.test", names=["also-taken.example.test"])
    summond.add(NAME, names=["shop.example.test"])
    for method in ("PUT", "PATCH"):
        got, answer = summond.call(method, f"/v1/services/{NAME}",
                                   {"names": ["new.example.test", "shop.example.test", name]})
        assert got == status and answer["error"].startswith("names: ") and why in answer["error"], answer
    assert summond.service(NAME)["names"] == ["shop.example.test"]
    assert summond.dig("new.example.test").status == "NXDOMAIN"


def test_too_many_names_and_no_list(summond):
    many = [f"n{i}.example.test" for i in range(65)]
    for names, why in ((many, "at most 64 names"), ("shop.example.test", "write a list of names")):
        status, answer = summond.call("PUT", f"/v1/services/{NAME}", {"names": names})
        assert status == 400 and why in answer["error"]
    summond.add(NAME, names=many[:64])
    assert summond.dig(many[63]).addresses == [summond.service(NAME)["ipv4"]]


def test_a_name_of_another_is_no_service(summond):
    summond.add(NAME, names=OTHERS)
    status, answer = summond.call("PUT", f"/v1/services/{OTHERS[0]}", {})
    assert status == 409 and f"is another name of {NAME}" in answer["error"]
    status, answer = summond.call("GET", f"/v1/services/{OTHERS[0]}")
    assert status == 404 and f"is another name of {NAME}" in answer["error"]
    status, answer = summond.call("GET", f"/v1/summons?service={OTHERS[0]}")
    assert status == 404 and f"is another name of {NAME}" in answer["error"]
    # It may be one when it is free.
    patch(summond, NAME, names=OTHERS[1:])
    summond.add(OTHERS[0])
    assert summond.dig(OTHERS[0]).addresses == [summond.service(OTHERS[0])["ipv4"]]
    assert summond.state(NAME) == "asleep"


def test_of_many_who_want_a_name_one_gets_it(summond):
    services = [f"s{i}.example.test" for i in range(8)]
    for name in services:
        summond.add(name)
    got = {}
    threads = [threading.Thread(target=lambda name=name: got.update(
        {name: summond.call("PATCH", f"/v1/services/{name}", {"names": OTHERS})[0]}))
        for name in services]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got.values()) == [200] + [409] * 7
    [winner] = [name for name in services if "names" in summond.service(name)]
    assert got[winner] == 200
    assert summond.dig(OTHERS[0]).addresses == [summond.service(winner)["ipv4"]]
    summond.call("DELETE", f"/v1/services/{winner}")
    assert summond.dig(OTHERS[0]).status == "NXDOMAIN"


def test_static_records_around_them(summond):
    service = summond.add(NAME, names=["shop.file.test", "under.static.file.test"])
    assert summond.dig("To-Other.file.test").addresses == [service["ipv4"]], "through an alias"
    assert summond.summons(NAME)[0]["cause"] == "query A 127.0.0.1 for to-other.file.test"
    assert summond.state(NAME) == "awake"
    assert summond.dig("any.file.test").addresses == ["192.0.2.10"], "a wildcard wakes nobody"
    assert summond.dig("under.static.file.test").addresses == [service["ipv4"]]
    assert summond.dig("static.file.test").addresses == ["192.0.2.9"]
    patch(summond, NAME, names=[])
    assert summond.dig("shop.file.test").addresses == ["192.0.2.10"]


def test_an_https_query_for_a_name_wakes(summond):
    address = summond.add(NAME, names=["bound.file.test"])["ipv4"]
    answer = summond.dig("bound.file.test", "HTTPS")
    assert "alpn" in answer.text and f"A\t{address}" in answer.text, "the address comes along"
    assert summond.state(NAME) == "awake"
    [summon] = summond.summons(NAME)
    assert summon["cause"] == "query HTTPS 127.0.0.1 for bound.file.test"


def test_they_are_there_again_after_a_crash(summond):
    summond.add(NAME, names=OTHERS)
    summond.kill()
    summond.start()
    assert summond.service(NAME)["names"] == sorted(OTHERS)
    assert summond.dig(OTHERS[1]).addresses == [summond.service(NAME)["ipv4"]]
    assert summond.state(NAME) == "awake"


def test_on_the_command_line(summond, tmp_path):
    summond.ctl("add", NAME, "--also-name", OTHERS[0], "--also-name", OTHERS[1])
    assert OTHERS[0] in summond.ctl("show", NAME).stdout
    summond.ctl("set", NAME, "--also-name", OTHERS[0])
    assert summond.service(NAME)["names"] == OTHERS[:1]
    file = tmp_path / "all.conf"
    file.write_text(f'service "{NAME}" {{ also-name = ["{OTHERS[1]}.", "{OTHERS[0].upper()}"] }}\n')
    assert "changed" in summond.ctl("apply", "-f", file).stdout
    assert summond.service(NAME)["names"] == sorted(OTHERS)
    assert "unchanged" in summond.ctl("apply", "-f", file).stdout
    file.write_text(f'service "{NAME}" {{ }}\n')
    assert f"service {NAME}: changed" in summond.ctl("apply", "-f", file).stdout
    assert "names" not in summond.service(NAME)

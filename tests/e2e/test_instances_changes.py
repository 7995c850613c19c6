# SPDX-License-Identifier: ISC
"""Changes of services with several machines that are on their way to the store at the same time."""
import re
import time

import pytest
from harness import Summond, at_once
from test_instances import CONFIG, NAME, machines, reshape, rows, serve

OTHER, PLAIN_SERVICE = "other.example.test", "plain.example.test"


@pytest.fixture
def summond():
    with Summond(CONFIG, backend="sim", network=False).start() as daemon:
        yield daemon


def restart(summond):
    summond.kill()
    summond.start()


def is_whole(summond):
    """Its rows in the store are its machines, also for a later daemon."""
    names = [machine["name"] for machine in machines(summond)]
    assert list(rows(summond)) == names
    instances = summond.get("/v1/policies/many")["options"]["instances"]
    assert len(names) == (1 if instances == "one" else int(instances.split(":")[1]))
    restart(summond)
    assert "is not served" not in summond.log()
    assert re.findall(r"serving (\d+) services", summond.log())[-1] == "1", "machines are no services"
    assert [machine["name"] for machine in machines(summond)] == names


def test_removed_while_it_grows(summond):
    summond.policy("many", instances="shared:3")
    summond.add(NAME)
    changed, removed = at_once(summond, ("PATCH", f"/v1/services/{NAME}", {"policy": "many"}),
                               ("DELETE", f"/v1/services/{NAME}"))
    assert (changed, removed) in [(200, 409), (409, 204), (404, 204)]
    if removed == 409:
        assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    assert rows(summond) == {}
    restart(summond)
    assert "is not served" not in summond.log()
    serve(summond, "shared:3")
    assert len(machines(summond)) == 3


@pytest.mark.parametrize("before, after", [("one", "shared:3"), ("shared:3", "one")])
def test_policy_that_changes_while_its_first_service_comes(summond, before, after):
    summond.policy("many", instances=before)
    put = ("PUT", f"/v1/services/{NAME}", {"policy": "many"})
    patch = ("PATCH", "/v1/policies/many", {"instances": after})
    assert sorted(at_once(summond, put, patch)) == [201, 409]
    is_whole(summond)
    assert summond.call("DELETE", f"/v1/services/{NAME}")[0] == 204
    reshape(summond, before)
    assert sorted(at_once(summond, patch, put)) == [200, 409]


def test_what_only_one_machine_can_have(summond):
    """Also where the number of machines stays: clients that come one after the other are several."""
    name = ".".join(["a" * 60] * 3 + ["b" * 56]) + ".example.test"
    summond.policy("many", instances="one")
    summond.add(name, policy="many")
    answer = reshape(summond, "per-client:1", status=400)
    assert f"a name of {len(name)} letters is too long" in answer["error"]
    assert summond.get("/v1/policies/many")["options"]["instances"] == "one"


def test_room_is_for_all_machines_together():
    with Summond(CONFIG + "limits { services = 6 }\n", backend="sim", network=False).start() as daemon:
        daemon.policy("many", instances="one")
        for name in (NAME, OTHER, PLAIN_SERVICE):
            daemon.add(name, policy="many")
        answer = reshape(daemon, "shared:3", status=507)
        assert "limits.services (6) leaves no room for 6 more machines" in answer["error"]
        reshape(daemon, "shared:2")
        assert len(rows(daemon)) == 6
        assert daemon.call("DELETE", f"/v1/services/{NAME}")[0] == 204
        daemon.add(NAME)
        status, answer = daemon.call("PUT", "/v1/services/more.example.test", {"policy": "many"})
        assert status == 507 and "leaves no room for 2 more machines" in answer["error"], answer
        status, answer = daemon.call("PUT", f"/v1/services/{NAME}", {"policy": "many"})
        assert status == 200 and len(rows(daemon)) == 6
        status, answer = daemon.call("PUT", "/v1/services/more.example.test", {})
        assert status == 507 and "limits.services (6) is reached" in answer["error"], answer


def test_room_is_taken_by_what_is_on_its_way():
    with Summond(CONFIG + "limits { services = 8 }\n", backend="sim", network=False).start() as daemon:
        daemon.policy("many", instances="shared:2")
        daemon.add(NAME)
        puts = [("PUT", f"/v1/services/n{i}.example.test", {"policy": "many"}) for i in range(3)]
        puts += [("PUT", f"/v1/services/m{i}.example.test", {}) for i in range(4)]
        statuses = at_once(daemon, *puts)
        assert sorted(statuses[:3]) == [201] * 3 and sorted(statuses[3:]) == [201, 507, 507, 507]
        assert len(rows(daemon)) == 8
        # What has come, or has not, takes no more.
        assert daemon.call("DELETE", "/v1/services/n0.example.test")[0] == 204
        assert sorted(at_once(daemon, *puts[3:])) == [200, 201, 201, 507]
        assert daemon.call("DELETE", "/v1/services/n1.example.test")[0] == 204
        reshape(daemon, "shared:3")
        assert len(rows(daemon)) == 7

# SPDX-License-Identifier: ISC
"""Packets wake real guests: clients on the host, behind it, and on the guests' bridge connect to an
address that sleeps, and no SYN is sent twice."""
import subprocess

import pytest
from harness import BACKEND, BUILD, Summond, wait_for
from net import Here, Host, ip, sysctl

NAME = "www.example.test"
# The bridge has hosts of its own, outside the pool.
CONFIG = """network { address6 = "fd77::1/64"; pool = "10.77.0.0/17"; pool6 = "fd77::/112" }"""
PLACES = ["host", "forwarded", "bridge"]


@pytest.fixture(scope="module")
def summond():
    if BACKEND == "vmm" and subprocess.run([BUILD / "summon-vmm" / "summon-vmm", "--check"],
                                           stdout=subprocess.DEVNULL, check=False).returncode:
        pytest.skip("KVM cannot run guests here")
    with Summond(CONFIG).start() as daemon:
        yield daemon
    ip("link", "del", "summon-bell", check=False)


@pytest.fixture(scope="module")
def places(summond):
    behind = Host("behind", ["192.168.50.2/24", "fd50::2/64"],
                  gateways=["192.168.50.1/24", "fd50::1/64"])
    sysctl("ipv4/conf/behind/forwarding", 1)
    sysctl("ipv6/conf/all/forwarding", 1)
    beside = Host("beside", ["10.77.200.1/16", "fd77::200:1/64"], bridge="summon0")
    yield {"host": Here(), "forwarded": behind, "bridge": beside}
    behind.close()
    beside.close()


@pytest.fixture(autouse=True)
def clean(summond):
    yield
    for service in summond.get("/v1/services")["services"]:
        summond.call("DELETE", f"/v1/services/{service['name']}")
    wait_for(lambda: not summond.get("/v1/instances")["instances"], "guests to end")


def serve(summond, image="hello", **options):
    summond.policy("ring", **options)
    return summond.add(NAME, image=image, policy="ring")


def put_to_sleep(summond):
    summond.call("POST", f"/v1/services/{NAME}/retire", {"how": "destroy"})
    summond.wait_state(NAME, "asleep")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("key", ["ipv4", "ipv6"])
def test_the_first_syn_is_answered(summond, places, place, key):
    address = serve(summond, ring_tcp="7", image="echo")[key]
    for _ in range(3):
        answer = places[place].ask("tcp", address, 7)
        assert answer["error"] == 0, answer
        assert answer["retransmissions"] == 0
        put_to_sleep(summond)
    causes = [summon["cause"] for summon in summond.summons(NAME)]
    assert len(causes) == 3
    assert all(f"packet TCP port 7 from {answer['source']}" in cause for cause in causes), causes

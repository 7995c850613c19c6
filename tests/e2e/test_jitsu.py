# SPDX-License-Identifier: ISC
"""For those who come from Jitsu 0.3: its lines as they stand, and its known faults, on the sim backend."""
import json
import time

import pytest
from harness import Summond, wait_for

NAME = "www.example.test"
ADDRESS = "10.77.0.5"
REVERSE_NAME = "5.0.77.10.in-addr.arpa"
REVERSE = 'zone "77.10.in-addr.arpa" { ns "ns1.example.test" {} }'
pytestmark = pytest.mark.usefixtures("clean")


@pytest.fixture(scope="module")
def summond():
    with Summond(REVERSE, backend="sim", network=False, settings={"persist": "yes"}).start() as daemon:
        yield daemon


@pytest.fixture
def kernel(tmp_path):
    path = tmp_path / "www.xen"
    path.write_bytes(b"a kernel")
    return path


def line(kernel, *more):
    return ",".join([f"dns={NAME}", f"ip={ADDRESS}", f"kernel={kernel}", "memory=64000", "name=www",
                     "nic=br0", *more])


def plan(summond, *words):
    """What a line comes to, and what is said besides."""
    text = summond.ctl("import-jitsu", *words, "--dry-run").stdout
    said, _, rest = text.partition("{\n")
    return json.loads("{" + rest), said


def policy(summond, name):
    return summond.get(f"/v1/policies/{name}")["options"]


# --- its lines ---

def test_a_line_is_taken_as_it_stands(summond, kernel):
    done = summond.ctl("import-jitsu", line(kernel), "--to", "sim")
    assert f"imported {NAME} at {ADDRESS}" in done.stdout
    service = summond.service(NAME)
    assert (service["image"], service["memory"]) == (str(kernel), "64000KiB")
    assert (service["kernel_line"], service["policy"]) == ("", f"jitsu-{NAME}")
    options = policy(summond, service["policy"])
    assert (options["ttl"], options["idle_after"], options["retire"]) == ("1min", "2min", "destroy")
    assert (options["ready"], options["ready_delay"]) == ("delay", "100ms")
    assert summond.dig(NAME).addresses == [ADDRESS]
    # Once more is no harm.
    summond.ctl("import-jitsu", line(kernel), "--to", "sim")


def test_every_key_has_its_place(summond, kernel, tmp_path):
    disk, rump = tmp_path / "data.iso", tmp_path / "json.cfg"
    disk.write_bytes(b"")
    rump.write_text('{"cmdline": "nginx"}')
    uuid = "6e696eb7-09f4-484c-981b-8d34efa0304d"
    found, said = plan(summond, "-x", "libxl", line(
        kernel, "dns=alias.example.test", "dns=third.example.test", f"uuid={uuid}", "response_delay=0.25",
        "wait_for_key=data/status", "use_synjitsu=1", "cmdline=--ipv4=10.77.0.5/24 -l *:debug", "nic=br1",
        "script=vif-bridge", f"disk={disk}@xvda", f"rumprun_config={rump}"))
    assert found["service"] == NAME
    assert found["definition"] == {
        "addresses": [ADDRESS], "backend": "libxl", "policy": f"jitsu-{NAME}", "image": str(kernel),
        "kernel_line": "--ipv4=10.77.0.5/24 -l *:debug", "memory": "64000KiB",
        "nics": "br0@vif-bridge br1@vif-bridge", "disks": f"{disk}@xvda",
        "names": ["alias.example.test", "third.example.test"], "domain_name": "www", "uuid": uuid,
        "rumprun_config": str(rump)}
    options = found["options"]
    assert (options["ready"], options["ready_key"], options["ready_settle"]) == ("key", "data/status", "250ms")
    assert "memory=64000 is KiB" in said and "use_synjitsu is not needed" in said


def test_scripts_begin_again_where_they_are_fewer(summond, kernel):
    found, _ = plan(summond, line(kernel, "nic=br1", "nic=br2", "script=a", "script=b"))
    assert found["definition"]["nics"] == "br0@a br1@b br2@a"


def test_every_option_has_its_place(summond, kernel):
    found, said = plan(
        summond, "-x", "libxl", "-b", "192.0.2.1", "-l", "5300", "-f", "192.0.2.53", "-p", "5353", "-c",
        "qemu:///system", "-d", "0.5", "-t", "30", "-m", "shutdown", "--persistdb", "/db", "--synjitsu",
        "6e696eb7-09f4-484c-981b-8d34efa0304d", line(kernel))
    assert 'dns { listen = ["192.0.2.1@5300"] }' in said
    assert 'forward { enabled = true, upstreams = ["192.0.2.53@5353"] }' in said
    assert 'backend "libvirt" { uri = "qemu:///system" }' in said
    assert "--persistdb is not needed" in said and "--synjitsu is not needed" in said
    options = found["options"]
    assert (options["ready_delay"], options["ttl"]) == ("500ms", "30000ms")
    assert (options["idle_after"], options["retire"]) == ("60000ms", "shutdown")


def test_no_forwarder_needs_no_line(summond, kernel):
    assert "forward" not in plan(summond, "-f", "0.0.0.0", line(kernel))[1]


@pytest.mark.parametrize("words, reason", [
    (["ip=10.77.0.5,kernel=x"], "dns= is missing"),
    (["dns=a.example.test,kernel=/dev/null"], "ip= is missing"),
    (["dns=a.example.test,ip=10.77.0.5,kernal=x"], "'kernal' is no key of Jitsu 0.3"),
    (["dns=a.example.test,ip"], "'ip' is not KEY=VALUE"),
    (["dns=a.example.test,ip=10.77.0.5,kernel=/nonexistent"], "image: /nonexistent: No such file"),
    (["dns=a.example.test,ip=10.77.0.5,kernel=/dev/null,memory=lots"], "memory: "),
    (["dns=a.example.test,ip=10.77.0.5,kernel=/dev/null,disk=/dev/null:xvda"], "write PATH@DEVICE"),
    (["dns=a.example.test,ip=10.77.0.5,kernel=/dev/null,nic=a/b"], "is no bridge"),
    (["dns=a.example.test,ip=10.77.0.5,name=vm"], "virsh dumpxml vm"),
    (["-x", "xapi", "dns=a.example.test,ip=10.77.0.5,name=vm"], "no backend for XAPI"),
    (["-m", "sleep", "dns=a.example.test,ip=10.77.0.5,kernel=/dev/null"], "mode: 'sleep' is none of"),
    (["-t", "soon", "dns=a.example.test,ip=10.77.0.5,kernel=/dev/null"], "ttl: 'soon' is no number"),
    (["dns=a.example.test,ip=10.77.0.5,kernel=/dev/null,response_delay=-1"], "delay: '-1' is no number"),
])
def test_what_is_wrong_is_said(summond, words, reason):
    done = summond.ctl("import-jitsu", *words, check=False)
    assert done.returncode == 2 and reason in done.stderr, done.stderr
    assert not summond.get("/v1/services")["services"]


def test_what_a_backend_cannot_do_is_said(summond, kernel, tmp_path):
    rump = tmp_path / "json.cfg"
    rump.write_text("{}")
    for more, reason in (("nic=br1", "nics: backend sim knows no such thing"),
                         ("disk=/dev/zero@xvda", "disks: backend sim knows no such thing"),
                         (f"rumprun_config={rump}", "rumprun_config: backend sim knows no such thing"),
                         ("wait_for_key=data/x", "'ready key', which backend sim cannot do")):
        done = summond.ctl("import-jitsu", line(kernel, more), "--to", "sim", check=False)
        assert done.returncode == 1 and reason in done.stderr, done.stderr


# --- several names ---

def test_all_names_wake_the_same_guest(summond, kernel):
    names = ["alias.example.test", "third.example.test"]
    summond.ctl("import-jitsu", line(kernel, *(f"dns={name}" for name in names)), "--to", "sim")
    assert summond.service(NAME)["names"] == names
    assert summond.dig(names[1]).addresses == [ADDRESS]
    assert summond.state(NAME) == "awake"
    for name in [NAME, *names]:
        assert summond.dig(name).addresses == [ADDRESS]
    assert len(summond.get("/v1/instances")["instances"]) == 1
    assert NAME in summond.dig(REVERSE_NAME, "PTR").text
    # They go with it, also after a restart.
    summond.kill()
    summond.start()
    assert summond.dig(names[0]).addresses == [ADDRESS]
    summond.call("DELETE", f"/v1/services/{NAME}")
    assert summond.dig(names[0]).status == "NXDOMAIN"


# --- its faults ---

def test_a_query_during_boot_is_not_answered_unready(summond):
    summond.add(NAME, kernel_line="sim.boot_delay=1s")
    first = summond.dig_start(NAME)
    wait_for(lambda: summond.state(NAME) == "booting", "the guest to boot")
    second = summond.dig_start(NAME)
    assert all(ADDRESS[:5] in query.communicate()[0] for query in (first, second))
    [summon] = summond.summons(NAME)
    stages = {stage["name"]: stage["at_ns"] for stage in summon["stages"]}
    assert stages["ready"] <= stages["answered"] and summon["waiters"] == 2


@pytest.mark.parametrize("qtype", ["MX", "TXT", "SOA", "SRV", "ANY"])
def test_only_the_configured_types_boot(summond, qtype):
    summond.add(NAME)
    assert summond.dig(NAME, qtype).status == "NOERROR"
    assert summond.state(NAME) == "asleep" and not summond.summons(NAME)


def test_two_cold_queries_start_one_guest(summond):
    summond.add(NAME, kernel_line="sim.create_delay=200ms")
    queries = [summond.dig_start(NAME), summond.dig_start(NAME)]
    assert all("status: NOERROR" in query.communicate()[0] for query in queries)
    assert len(summond.summons(NAME)) == 1
    assert len(summond.get("/v1/instances")["instances"]) == 1


def test_a_guest_that_nobody_has_queried_is_left_running(summond):
    summond.add(NAME)
    summond.ctl("wake", NAME)
    since = summond.service(NAME)["since"]
    time.sleep(6)  # Jitsu looks every 5 s
    assert summond.state(NAME) == "awake" and summond.service(NAME)["since"] == since


def test_without_a_forwarder_names_of_others_are_refused(summond):
    assert summond.dig("www.example.org").status == "REFUSED"


def test_a_failed_start_is_servfail(summond):
    summond.add(NAME, kernel_line="sim.fail=start")
    answer = summond.dig(NAME)
    assert (answer.status, answer.ede) == ("SERVFAIL", 23), answer.text
    assert summond.service(NAME)["last_error"]


def test_a_create_in_progress_does_not_stall_other_names(summond):
    summond.policy("slow", hold="5s", ready_timeout="30s")
    summond.add(NAME, kernel_line="sim.create_delay=4s", policy="slow")
    summond.add("quick.example.test")
    slow = summond.dig_start(NAME)
    wait_for(lambda: summond.state(NAME) == "creating", "the create to be under way")
    assert summond.dig("quick.example.test").addresses
    assert summond.state(NAME) == "creating"
    slow.communicate()


def test_restarts_do_not_duplicate_guests(summond):
    summond.add(NAME)
    summond.dig(NAME)
    before = summond.get("/v1/instances")["instances"]
    summond.kill()
    summond.start()
    assert summond.dig(NAME).addresses
    after = summond.get("/v1/instances")["instances"]
    assert [i["generation"] for i in after] == [i["generation"] for i in before] and len(after) == 1


def test_memory_has_a_unit(summond):
    assert summond.add(NAME, memory="64MiB")["memory"] == "64MiB"
    assert summond.add(NAME, memory=64 << 20)["memory"] == "64MiB"
    status, answer = summond.call("PUT", f"/v1/services/{NAME}", {"memory": "64000"})
    assert status == 400 and "memory" in answer["error"]


def test_ptr_aaaa_tcp_and_edns(summond):
    summond.add(NAME, ipv4=ADDRESS, ipv6="fd00::5")
    assert NAME in summond.dig(REVERSE_NAME, "PTR").text
    assert summond.dig(NAME, "AAAA").addresses == ["fd00::5"]
    assert summond.dig(NAME, "+tcp").addresses == [ADDRESS]
    assert "EDNS: version: 0" in summond.dig(NAME, "+edns").text

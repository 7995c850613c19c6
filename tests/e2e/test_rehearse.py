# SPDX-License-Identifier: ISC
"""summonctl rehearse: traces whose results can be reckoned by hand, and what else it promises."""
import calendar
import json
import os
import random
import signal
import subprocess
import time

import pytest
from harness import BUILD, HANG, SUMMONCTL, Summond, wait_for

os.environ["SUMMONCTL_REHEARSE"] = str((BUILD / "rehearse" / "summond-rehearse").resolve())
NAME = "www.example.test"
CLIENT = "192.0.2.7"
LAST_LOOK = 0.01  # from closing a door to the last look behind it
MIB = 32          # of each guest here


class Stage:
    """A folder with services and policies of its own, and no daemon."""

    def __init__(self, folder):
        self.folder = folder
        self.env = {**os.environ, "TMPDIR": str(folder / "tmp")}
        (folder / "tmp").mkdir()

    def write(self, name, text):
        (self.folder / name).write_text(text)
        return self.folder / name

    def trace(self, *lines):
        return self.write("trace.csv", "time,event,name,source\n" + "\n".join(lines) + "\n")

    def services(self, names=(NAME,), **options):
        lines = "".join(f'{key} = "{value}"; ' for key, value in options.items())
        return self.write("services.conf", f'policy "p" {{ {lines} }}\n' + "".join(
            f'service "{name}" {{ image = website; memory = {MIB}MiB; policy = p }}\n'
            for name in names))

    def command(self, *words):
        return [SUMMONCTL, "--json", "rehearse", "--services", self.folder / "services.conf",
                *map(str, words)]

    def run(self, *words, check=True, text=None):
        done = subprocess.run(self.command(*words), env=self.env, input=text, text=True,
                              capture_output=True, timeout=HANG, check=False)
        assert not list((self.folder / "tmp").iterdir()), "it leaves nothing behind"
        if check:
            assert done.returncode == 0, done.stderr
            assert done.stderr == ""
        return done

    def text(self, *words):
        """What a person is told."""
        command = [word for word in self.command(*words) if word != "--json"]
        return subprocess.run(command, env=self.env, capture_output=True, text=True, timeout=HANG,
                              check=True).stdout

    def total(self, *words):
        return json.loads(self.run(*words).stdout)["now"]["total"]


@pytest.fixture
def stage(tmp_path):
    return Stage(tmp_path)


def near(value, wanted):
    assert value == pytest.approx(wanted, abs=1e-6), (value, wanted)


def test_two_starts_of_one_name(stage):
    stage.services(idle_after="60s", retire="destroy")
    total = stage.total("--trace", stage.trace(f"0,A,{NAME},{CLIENT}", f"1000,A,{NAME},{CLIENT}"))
    assert total["starts"]["cold"] == total["starts"]["all"] == 2
    near(total["seconds"]["awake"], 2 * (60 + LAST_LOOK))
    near(total["seconds"]["starting"], 2 * 0.1)
    near(total["memory_mib_s"]["awake"], 2 * (60 + LAST_LOOK) * MIB)
    near(total["memory_mib_s"]["all"], (2 * (60 + LAST_LOOK + 0.1) + total["seconds"]["stopping"])
         * MIB)
    assert total["queries"]["waited"] == 2 and not total["refusals"]
    assert total["answers"]["p50_ms"] == total["answers"]["max_ms"] == 100


def test_guests_at_rest_go_deeper(stage):
    stage.services(idle_after="60s", retire="suspend", tiers="snapshot after 5min")
    total = stage.total("--trace", stage.trace(*(f"{at},A,{NAME},{CLIENT}" for at in (0, 200, 1000))))
    starts = total["starts"]
    assert (starts["cold"], starts["resumed"], starts["restored"]) == (1, 1, 1)
    near(total["seconds"]["awake"], 3 * (60 + LAST_LOOK))
    # Until the second query; then twice the tier and what the way to disk takes (30 ms).
    in_memory = (200 - 60.1 - LAST_LOOK) + 2 * (300 + 0.03)
    assert total["seconds"]["suspended"] == pytest.approx(in_memory, abs=0.01)
    answers = total["answers"]
    assert (answers["p50_ms"], answers["max_ms"]) == (50, 100)


MONDAY = 1709539200  # 4 March 2024, 08:00 UTC, 09:00 in Berlin

OFFICE_HOURS = """\
3 events, 2.2 h
guests take: boot 100.000 ms (assumed), resume 5.000 ms (assumed), restore 50.000 ms (assumed)

starts                      2
  cold                      2
starts that failed          0
time awake                  61.0 min
memory x time               114.4 GiB s
  awake                     114.4 GiB s
  starting                  6.4 MiB s
  stopping                  0.3 MiB s
queries                     3
  answered at once          1
  that wake nothing         1
  answered when ready       1
  answered at the deadline  0
  refused                   0
answers after, p50          0 ms
  p90                       100 ms
  p99                       100 ms
  max                       100 ms

SERVICE           STARTS  AWAKE     MEMORY       P50   P99     REFUSED
www.example.test  2       61.0 min  114.4 GiB s  0 ms  100 ms  0
"""


def test_hours_in_which_a_service_is_kept_awake(stage):
    """An hour, and a minute for the query after it."""
    stage.services(keep_awake="Mon 09:00-10:00", time_zone="Europe/Berlin", idle_after="60s",
                   retire="destroy")
    trace = stage.trace(f"{MONDAY - 1800},MX,{NAME},{CLIENT}", f"{MONDAY + 60},A,{NAME},{CLIENT}",
                        f"{MONDAY + 5400},A,{NAME},{CLIENT}")
    total = stage.total("--trace", trace)
    assert total["starts"]["all"] == 2 and total["queries"]["at_once"] == 1
    assert total["seconds"]["awake"] == pytest.approx(3600 - 0.1 + 60, abs=0.2)
    assert stage.text("--trace", trace) == OFFICE_HOURS


def test_hours_in_which_a_service_is_kept_asleep(stage):
    """It is sent away when they begin, refused while they last, and woken by no query after them."""
    stage.services(keep_asleep="Mon 09:00-10:00", time_zone="Europe/Berlin", idle_after="0",
                   retire="destroy")
    total = stage.total("--trace", stage.trace(*(
        f"{MONDAY + at},{event},{NAME},{CLIENT}"
        for at, event in ((-1800, "A"), (60, "A"), (61, "tcp/80"), (3599, "A"), (3660, "A")))))
    assert total["starts"]["all"] == 2
    assert total["refusals"] == {"its schedule keeps it asleep at this hour": 2,
                                 "packets: closed": 1}
    # Until the hour; and from the last query to ten minutes after it, where a rehearsal ends.
    assert total["seconds"]["awake"] == pytest.approx(1800 + 600 - 2 * 0.1, abs=0.5)


@pytest.mark.parametrize("day, hours", [("2024-03-31", 2), ("2024-10-27", 4), ("2024-06-30", 3)])
def test_hours_on_the_days_on_which_clocks_are_set(stage, day, hours):
    """01:00-04:00: what a clock shows twice counts twice, and what is skipped never comes."""
    begin = calendar.timegm(time.strptime(day, "%Y-%m-%d")) - 7200  # midnight of summer time
    stage.services(keep_awake="Sun 01:00-04:00", time_zone="Europe/Berlin", idle_after="1s",
                   retire="destroy", ttl="0")
    total = stage.total("--trace", stage.trace(f"{begin},MX,{NAME},{CLIENT}",
                                               f"{begin + 6 * 3600},MX,{NAME},{CLIENT}"))
    assert total["starts"]["all"] == 1
    assert total["seconds"]["awake"] == pytest.approx(hours * 3600, abs=6)


def test_what_a_service_needs_is_woken_too(stage):
    """One after the other; what is needed stays as long as what needs it, and then for its own minute."""
    database = "db.example.test"
    stage.write("services.conf", f"""
        policy "alone" {{ idle_after = 60s; retire = destroy }}
        policy "needy" {{ idle_after = 60s; retire = destroy; needs = "{database}" }}
        service "{database}" {{ image = website; memory = {MIB}MiB; policy = alone }}
        service "{NAME}" {{ image = website; memory = {MIB}MiB; policy = needy }}""")
    report = json.loads(stage.run("--trace", stage.trace(f"0,A,{NAME},{CLIENT}")).stdout)["now"]
    services = {service["name"]: service for service in report["services"]}
    assert [service["starts"]["cold"] for service in services.values()] == [1, 1]
    assert services[NAME]["answers"]["max_ms"] == 200
    near(services[NAME]["seconds"]["awake"], 60 + LAST_LOOK)
    stopping = services[NAME]["seconds"]["stopping"]
    assert services[database]["seconds"]["awake"] == pytest.approx(
        0.1 + 60 + LAST_LOOK + stopping + 60 + LAST_LOOK, abs=0.2)


TIERS = """\
3 events, 26.7 min
guests take: boot 100.000 ms (assumed), resume 5.000 ms (assumed), restore 50.000 ms (assumed)

starts                      3
  cold                      1
  resumed from memory       1
  restored from disk        1
starts that failed          0
time awake                  180.0 s
memory x time               28.8 GiB s
  awake                     5761.0 MiB s
  starting                  5.0 MiB s
  suspended                 23.1 GiB s
queries                     3
  answered when ready       3
  answered at the deadline  0
  refused                   0
answers after, p50          50 ms
  p90                       100 ms
  p99                       100 ms
  max                       100 ms

SERVICE           STARTS  AWAKE    MEMORY      P50    P99     REFUSED
www.example.test  3       180.0 s  28.8 GiB s  50 ms  100 ms  0
"""


def test_tiers_in_words(stage):
    stage.services(idle_after="60s", retire="suspend", tiers="snapshot after 5min")
    trace = stage.trace(*(f"{at},A,{NAME},{CLIENT}" for at in (0, 200, 1000)))
    assert stage.text("--trace", trace) == TIERS


def test_budgets_are_the_configurations(stage):
    names = [f"n{i}.example.test" for i in range(3)]
    stage.services(names)
    config = stage.write("summond.conf", 'wake { per_source = "1/1h" }')
    trace = stage.trace(*(f"{i},A,{name},{CLIENT}" for i, name in enumerate(names)),
                        f"5,A,{names[1]},198.51.100.1")
    total = stage.total("--trace", trace, "--config", config)
    assert total["starts"]["all"] == 2
    assert total["queries"]["refused"] == 2
    assert total["refusals"] == {"too many starts by this network": 2}


def test_packets_ring_and_wait(stage):
    stage.services(idle_after="60s", retire="destroy", activity="traffic", ring_udp="53")
    total = stage.total("--trace", stage.trace(
        f"0,tcp/22,{NAME},{CLIENT}", f"1,ping,{NAME},{CLIENT}",
        f"10,tcp/80,{NAME},{CLIENT}", f"10.05,udp/53,{NAME},{CLIENT}",
        f"40,tcp/80,{NAME},{CLIENT}", f"41,tcp/80,{NAME},2001:db8::1"))
    assert total["refusals"] == {"packets: port": 1, "packets: ping": 1,
                                 "packets: no address of that family": 1}
    packets = total["packets"]
    assert (packets["waited"], packets["at_once"], packets["refused"]) == (2, 1, 3)
    assert total["packet_waits"]["max_ms"] == 100
    assert total["packet_waits"]["p50_ms"] == 50
    # The packet at 40 s is seen by a look at most an eighth of idle_after later.
    assert 40 - 10.1 + 60 <= total["seconds"]["awake"] <= 40 - 10.1 + 60 + 7.5 + LAST_LOOK


def test_an_answer_at_once_and_the_packet_behind_it(stage):
    stage.services(answer="at-once")
    total = stage.total("--trace", stage.trace(f"0,A,{NAME},{CLIENT}",
                                               f"0.02,tcp/80,{NAME},{CLIENT}"))
    assert total["queries"]["at_once"] == 1 and total["answers"]["max_ms"] == 0
    assert total["packets"]["waited"] == 1 and total["packet_waits"]["max_ms"] == 80


def test_what_wakes_nothing(stage):
    stage.services(wake_on="none")
    total = stage.total("--trace", stage.trace(f"0,A,{NAME},{CLIENT}", f"1,MX,{NAME},{CLIENT}",
                                               f"2,AAAA,{NAME},{CLIENT}"))
    assert total["queries"]["no_wake"] == 3 and total["starts"]["all"] == 0
    assert total["memory_mib_s"]["all"] == 0


@pytest.mark.parametrize("what", ["address", "servfail"])
def test_an_answer_at_the_deadline(stage, what):
    stage.services(hold="1.2s", at_deadline=what)
    total = stage.total("--boot", "3s", "--trace", stage.trace(f"0,A,{NAME},{CLIENT}"))
    assert total["queries"]["deadline"] == 1 and total["answers"]["max_ms"] == 1200
    assert total["starts"]["failed"] == 0


def test_starts_that_fail(stage):
    stage.services(backoff_first="10s")
    total = stage.total("--sim", "fail_start=yes", "--trace", stage.trace(
        f"0,A,{NAME},{CLIENT}", f"5,A,{NAME},{CLIENT}", f"5,tcp/80,{NAME},{CLIENT}",
        f"11,A,{NAME},{CLIENT}"))
    assert total["starts"]["failed"] == total["queries"]["failed"] == 2
    assert total["refusals"] == {"the last start failed": 1, "packets: backoff": 1}
    assert total["seconds"]["awake"] == 0


def test_a_guest_ahead_of_demand(stage):
    stage.services(start="prepared", idle_after="60s", retire="destroy")
    total = stage.total("--trace", stage.trace(f"0,MX,{NAME},{CLIENT}", f"100,A,{NAME},{CLIENT}"))
    starts = total["starts"]
    assert starts["prepared"] == 1 and starts["ahead"] == 2 and starts["cold"] == 0
    assert total["memory_mib_s"]["prepared"] > 100 * MIB


def test_beside_another_policy(stage):
    stage.services(idle_after="60s", retire="destroy")
    other = stage.write("other.conf", 'policy "p" { idle_after = 2h }\n'
                        'service "new.example.test" { image = website; policy = p }')
    trace = stage.trace(f"0,A,{NAME},{CLIENT}", f"1000,A,{NAME},{CLIENT}",
                        f"1001,A,new.example.test,{CLIENT}")
    answer = json.loads(stage.run("--trace", trace, "--policy", other).stdout)
    now, other_way = answer["now"], answer["with"]
    assert now["strangers"] == 1 and other_way["strangers"] == 0
    assert now["total"]["starts"]["all"] == 2 and other_way["total"]["starts"]["all"] == 2
    near(other_way["services"][0]["seconds"]["awake"], 1600 + 1 - 0.1)
    assert now["seconds"] == other_way["seconds"] == 1601
    text = stage.text("--trace", trace, "--policy", other)
    assert "RATIO" in text and NAME in text and "1 of them for names of no service" in text


def many_events(count, names, span):
    rng = random.Random(4)
    times = sorted(rng.uniform(0, span) for _ in range(count))
    return [f"{1700000000 + at:.6f},{rng.choice(['A', 'A', 'tcp/80', 'tcp/22', 'MX'])},"
            f"{rng.choice(names)},192.0.{rng.randrange(8)}.{rng.randrange(256)}" for at in times]


def test_the_same_again(stage):
    names = [f"n{i}.example.test" for i in range(50)]
    stage.services(names, retire="suspend", tiers="snapshot after 3min, destroy after 20min")
    trace = stage.trace(*many_events(5000, names, 7200))
    words = ("--trace", trace, "--sim", "jitter=30 fail_start=10% fail_resume=5% seed=7")
    first = stage.run(*words).stdout
    assert stage.run(*words).stdout == first
    counts = json.loads(first)["now"]["total"]
    assert counts["starts"]["failed"] > 0 and counts["starts"]["restored"] > 0
    for kind, parts in (("queries", 8), ("packets", 6)):
        values = counts[kind]
        assert len(values) == parts and sum(values.values()) == 2 * values["all"]


def test_a_day_with_a_thousand_names(stage):
    names = [f"n{i}.example.test" for i in range(1000)]
    stage.services(names)
    report = json.loads(stage.run("--trace", stage.trace(*many_events(60000, names, 86400)))
                        .stdout)["now"]
    assert report["events"] == 60000 and report["seconds"] > 86400
    total = report["total"]
    for member in ("awake", "starting"):
        near(total["seconds"][member],
             sum(service["seconds"][member] for service in report["services"]))
    assert total["starts"]["all"] == sum(s["starts"]["all"] for s in report["services"]) > 1000


def test_a_trace_from_standard_input(stage):
    stage.services()
    done = stage.run("--trace", "-", text=f"7,A,{NAME},{CLIENT}\n")
    assert json.loads(done.stdout)["now"]["events"] == 1


@pytest.mark.parametrize("text, said", [
    (f"5,A,{NAME},{CLIENT}\n4,A,{NAME},{CLIENT}\n", "standard input:2: '4' is earlier"),
    (f"5,A,{NAME}\n", "standard input:1: 3 of 4 fields"),
    ("# nothing\n", "standard input: has no event"),
])
def test_a_bad_trace(stage, text, said):
    stage.services()
    done = stage.run("--trace", "-", text=text, check=False)
    assert done.returncode == 1 and said in done.stderr and not done.stdout


@pytest.mark.parametrize("words, code, said", [
    ((), 2, "--trace FILE or --from-history"),
    (("--from-history",), 2, "--services does without it"),
    (("--trace", "/nowhere"), 1, "/nowhere: No such file"),
    (("--trace", "t", "--boot", "soon"), 2, "--boot: 'soon' is not a duration"),
    (("--trace", "t", "--tail", "1"), 2, "--tail: '1' is not a duration"),
    (("--trace", "t", "--sim", "jitter"), 2, "write NAME=VALUE"),
    (("--trace", "t", "--sim", "jiter=5"), 1, "jiter"),
    (("--trace", "t", "--config", "/nowhere"), 1, "/nowhere"),
    (("--trace", "t", "--policy", "bad"), 1, "idle_aftr"),
    (("--trace", "t", "--policy", "worse"), 1, "policy: there is no 'nope'"),
])
def test_bad_words(stage, words, code, said):
    stage.services()
    files = {"t": stage.trace(f"0,A,{NAME},{CLIENT}"),
             "bad": stage.write("bad", 'policy "p" { idle_aftr = 5s }'),
             "worse": stage.write("worse", f'service "{NAME}" {{ policy = nope }}')}
    done = stage.run(*(files.get(word, word) for word in words), check=False)
    assert done.returncode == code and said in done.stderr, done.stderr


def test_it_can_be_interrupted(stage):
    names = [f"n{i}.example.test" for i in range(1000)]
    stage.services(names)
    trace = stage.trace(*many_events(200000, names, 30 * 86400))
    process = subprocess.Popen(stage.command("--trace", trace), env=stage.env,
                               stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                               start_new_session=True, text=True)
    wait_for(lambda: list((stage.folder / "tmp").glob("*/summond.db")), "it to begin")
    os.killpg(process.pid, signal.SIGINT)
    process.communicate(timeout=HANG)
    wait_for(lambda: not list((stage.folder / "tmp").iterdir()), "it to tidy up")


def test_what_a_daemon_remembers():
    with Summond('wake { per_service = "2/1h" }', backend="sim").start() as summond:
        summond.policy("p", idle_after="200ms", min_life="0", ttl="0", retire="destroy")
        summond.add(NAME, policy="p", cmdline="sim.boot_delay=300ms")
        for _ in range(2):
            assert summond.dig(NAME).addresses
            summond.wait_state(NAME, "asleep")
        wait_for(lambda: len(summond.summons(NAME)) == 2, "the journal")
        assert summond.get("/v1/status")["config"] == str(summond.config)
        answer = json.loads(summond.ctl("--json", "rehearse", "--from-history").stdout)
        assert "boot" in answer["delays"] and "(as recorded)" in answer["delays"]
        total = answer["now"]["total"]
        assert total["starts"]["cold"] == total["queries"]["waited"] == 2
        # Never less than what its own words say.
        assert total["answers"]["p50_ms"] >= 300
        # The budgets are those of the daemon's file.
        trace = summond.folder / "trace.csv"
        trace.write_text("".join(f"{at},A,{NAME},{CLIENT}\n" for at in range(0, 40, 10)))
        answer = json.loads(summond.ctl("--json", "rehearse", "--trace", trace, "--boot", "1s").stdout)
        total = answer["now"]["total"]
        assert total["starts"]["all"] == 2
        assert total["refusals"] == {"too many starts of this service": 2}
        # A pin is no budget: it is awake from the first second to the last.
        summond.ctl("pin", NAME)
        total = json.loads(summond.ctl("--json", "rehearse", "--trace", trace, "--boot", "1s")
                           .stdout)["now"]
        assert total["total"]["starts"]["all"] == 1 and total["total"]["queries"]["refused"] == 0
        assert total["total"]["seconds"]["awake"] == pytest.approx(total["seconds"] - 0.3, abs=0.1)
        # One that ends by itself has as long to go in the trace as it has had when it was asked for.
        summond.ctl("pin", NAME, "--for", "30min")
        for more in ([], ["--policy", summond.folder / "same.conf"]):
            (summond.folder / "same.conf").write_text(f'service "{NAME}" {{ policy = p }}')
            total = json.loads(summond.ctl("--json", "rehearse", "--trace", trace, "--boot", "1s",
                                           "--tail", "3h", *more).stdout)
            total = total["with" if more else "now"]["total"]
            assert 1800 - HANG < total["seconds"]["awake"] < 1800 + 1, total["seconds"]
        summond.ctl("unpin", NAME)
        summond.wait_state(NAME, "asleep")
        wait_for(lambda: len(summond.summons(NAME)) == 3, "the journal")
        # And the daemon itself has not noticed.
        assert len(summond.summons(NAME)) == 3 and summond.state(NAME) == "asleep"


def test_a_machine_for_each_client(stage):
    """Two have one each, the third is refused until one of them is gone; with one for all there is one
    start and nobody is refused."""
    stage.services(instances="per-client:2", idle_after="60s", retire="destroy", ring_tcp="80")
    trace = stage.trace(*(f"{at},A,{NAME},192.0.2.{client}" for at, client in
                          [(0, 1), (1, 2), (2, 3), (3, 1), (100, 3)]), f"101,tcp/80,{NAME},192.0.2.3")
    other = stage.write("one.conf", 'policy "p" { idle_after = 60s; retire = destroy }\n')
    answer = json.loads(stage.run("--trace", trace, "--policy", other).stdout)
    now, one = answer["now"]["total"], answer["with"]["total"]
    assert now["starts"]["cold"] == 3 and one["starts"]["cold"] == 2
    assert now["queries"]["refused"] == 1 and one["queries"]["refused"] == 0
    assert list(now["refusals"].values()) == [1]
    assert now["queries"]["waited"] == 3 and now["queries"]["at_once"] == 1
    assert now["packets"]["at_once"] == 1
    [service] = answer["now"]["services"]
    assert service["name"] == NAME
    near(service["seconds"]["awake"], now["seconds"]["awake"])
    # Of three lives, of which one was asked for once more, and one had a packet; a look takes its time.
    assert 60 * 3 < now["seconds"]["awake"] < 60 * 3 + 3 + 8 * 3

# SPDX-License-Identifier: ISC
"""Zone files in the running daemon: read at the start and at a reload, and never half."""
import signal
import subprocess

import pytest
from harness import SUMMOND, Summond, wait_for

TEXT = """$TTL 60
@ SOA ns1 hostmaster 5 3600 600 604800 60
@ NS ns1
ns1 A 127.0.0.1
mail TXT "first"
"""


@pytest.fixture()
def summond():
    daemon = Summond(backend="sim", network=False)
    daemon.file = daemon.folder / "zone"
    daemon.file.write_text(TEXT)
    text = daemon.config.read_text()
    daemon.config.write_text(text.replace('ns "ns1" { address = 127.0.0.1 }',
                                          f'file = "{daemon.file}"'))
    with daemon.start():
        yield daemon


def reload(summond, says):
    before = summond.log().count(says)
    summond.process.send_signal(signal.SIGHUP)
    wait_for(lambda: summond.log().count(says) > before, f"the log to say '{says}'")


def test_a_reload_reads_the_file_again(summond):
    assert '"first"' in summond.dig("mail.example.test", "TXT").text
    summond.file.write_text(TEXT.replace("first", "second"))
    assert '"first"' in summond.dig("mail.example.test", "TXT").text
    reload(summond, "configuration reloaded")
    assert '"second"' in summond.dig("mail.example.test", "TXT", "+tcp").text


def test_a_bad_file_changes_nothing(summond):
    summond.file.write_text(TEXT + "mail A 1.2.3.x\n")
    reload(summond, "the old one stays")
    assert f"{summond.file}:6: " in summond.log()
    assert '"first"' in summond.dig("mail.example.test", "TXT").text
    done = subprocess.run([SUMMOND, "--check", "-c", summond.config], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 1 and f"{summond.file}:6: " in done.stderr
    summond.file.unlink()
    reload(summond, "the old one stays")
    assert "No such file" in summond.log()
    assert '"first"' in summond.dig("mail.example.test", "TXT").text


def test_reloads_in_a_row_end_with_the_last_file(summond):
    summond.file.write_text(TEXT + "".join(f"n{i} TXT x\n" for i in range(20000)))
    summond.process.send_signal(signal.SIGHUP)
    assert summond.dig("ns1.example.test").status == "NOERROR"
    summond.file.write_text(TEXT + "last TXT x\n")
    summond.process.send_signal(signal.SIGHUP)
    wait_for(lambda: summond.dig("last.example.test", "TXT").status == "NOERROR", "the last file")
    wait_for(lambda: summond.dig("n7.example.test", "TXT").status == "NXDOMAIN", "the last file")


def test_an_alias_wakes_its_service(summond):
    summond.file.write_text(TEXT + "www CNAME real\n* TXT wild\n* A 192.0.2.1\n")
    reload(summond, "configuration reloaded")
    summond.add("real.example.test")
    assert summond.dig("any.example.test").addresses == ["192.0.2.1"]
    assert summond.dig("real.example.test", "TXT").status == "NOERROR"
    assert summond.state("real.example.test") == "asleep"
    answer = summond.dig("www.example.test")
    assert answer.addresses == [summond.service("real.example.test")["ipv4"]]
    assert summond.state("real.example.test") == "awake"


def test_https_wakes_where_the_policy_lets_it(summond):
    summond.file.write_text(TEXT + "www HTTPS 1 . alpn=h2\nno HTTPS 1 . alpn=h2\n"
                            "other SVCB 1 . alpn=h2\n")
    reload(summond, "configuration reloaded")
    summond.policy("addresses", wake_on="A AAAA")
    summond.add("www.example.test")
    summond.add("no.example.test", policy="addresses")
    summond.add("other.example.test")
    summond.add("none.example.test")
    for name, rdtype in (("no", "HTTPS"), ("other", "SVCB"), ("none", "HTTPS"), ("www", "SVCB")):
        answer = summond.dig(f"{name}.example.test", rdtype)
        assert answer.status == "NOERROR"
        assert summond.state(f"{name}.example.test") == "asleep"
    answer = summond.dig("www.example.test", "HTTPS")
    assert 'HTTPS\t1 . alpn="h2"' in answer.text, answer.text
    # So that the next query need not be sent.
    assert answer.addresses == [summond.service("www.example.test")["ipv4"]]
    assert summond.state("www.example.test") == "awake"


def test_a_service_cannot_have_a_name_of_the_zone(summond):
    status, body = summond.call("PUT", "/v1/services/ns1.example.test", {})
    assert status == 409, body
    assert "has an address in its zone" in str(body)


def test_a_key_that_is_given_twice_changes_nothing(summond):
    """Neither the zones that come with it nor who may ask for them."""
    before = summond.config.read_text()
    first = before.count("\n") + 2
    secret = 'secret = "AAAAAAAAAAAAAAAAAAAAAAAA"'
    summond.config.write_text(before + f"""
tsig "Key" {{ {secret} }}
tsig "key." {{ {secret} }}
zone "new.test" {{ ns "ns1" {{ address = 127.0.0.1 }} }}
""")
    reload(summond, "the old one stays")
    assert f"{summond.config}:{first + 1}: tsig.key.: this is the key of line {first} " in summond.log()
    assert summond.dig("ns1.new.test").status == "REFUSED"
    summond.config.write_text(before + f"""
tsig "Key" {{ {secret} }}
zone "new.test" {{ ns "ns1" {{ address = 127.0.0.1 }}; transfer = ["KEY."]; deny = [127.0.0.1] }}
""")
    reload(summond, "configuration reloaded")
    answer = summond.dig("ns1.new.test")
    assert (answer.status, answer.ede) == ("REFUSED", 18)


def https(summond, name="www.example.test", *words):
    return summond.dig(name, "HTTPS", *words).text


RECORD = '1 . alpn="h2,h3" port=8443'


def test_a_policy_gives_services_https_records(summond):
    summond.add("www.example.test", ipv4="10.77.0.5", ipv6="fd77::5")
    summond.add("other.example.test", ipv4="10.77.0.6")
    summond.ctl("set", "www.example.test", "--also-name", "shop.example.test")
    assert "ANSWER: 0" in https(summond) and summond.state("www.example.test") == "asleep"
    summond.ctl("policy", "set", "default", "https=alpn=h2,h3 port=8443")
    # Who asks for it wakes the service, and gets its addresses with it.
    for name in ("www.example.test", "shop.example.test"):
        text = https(summond, name)
        assert RECORD in text and "10.77.0.5" in text and "fd77::5" in text, text
    assert summond.state("www.example.test") == "awake"
    assert summond.state("other.example.test") == "asleep"
    # It stays when the policy, the service and the zones change, and when the daemon comes again.
    summond.ctl("policy", "set", "default", "ttl=3s")
    summond.ctl("set", "www.example.test", "--also-name", "shop.example.test", "--also-name",
                "new.example.test")
    for name in ("www.example.test", "shop.example.test", "new.example.test"):
        text = https(summond, name)
        assert RECORD in text and "\t3\tIN\tHTTPS" in text, text
    reload(summond, "configuration reloaded")
    assert RECORD in https(summond)
    summond.kill(signal.SIGTERM)
    summond.start()
    assert RECORD in https(summond)
    # A record in the zone's file goes before it.
    summond.file.write_text(TEXT + "www HTTPS 1 . alpn=h3\n")
    reload(summond, "configuration reloaded")
    assert 'alpn="h3"' in https(summond)
    summond.ctl("policy", "set", "default", "https=none")
    assert "ANSWER: 0" in https(summond, "shop.example.test")


@pytest.mark.parametrize("value", ["alpn", "port=x", "alpn=h2 alpn=h3", "1 . alpn=h2", "alpn=h2 ; x",
                                   "ipv4hint=1.2.3.4 alpn=h2", "key6=abc", "", "(", "alpn=h2 )",
                                   "mandatory=alpn", "mandatory=port alpn=h2", "port=99999",
                                   "mandatory=mandatory alpn=h2", "key65535=x", "dohpath=/{?dns}"])
def test_https_parameters_that_are_none(summond, value):
    summond.ctl("policy", "set", "default", "https=alpn=h3")
    done = summond.ctl("policy", "set", "default", f"https={value}", check=False)
    assert done.returncode != 0 and "https" in done.stderr, done.stderr
    assert summond.get("/v1/policies/default")["options"]["https"] == "alpn=h3"
    summond.ctl("policy", "set", "default", "https=none")


def test_a_signed_zone_has_them_too(summond):
    summond.add("www.example.test", ipv4="10.77.0.5")
    summond.ctl("key", "add", "example.test")
    types = summond.dig("www.example.test", "MX", "+dnssec", "+noall", "+authority").text
    assert "A RRSIG NSEC" in types and "HTTPS" not in types
    summond.ctl("policy", "set", "default", "https=alpn=h2")
    text = https(summond, "www.example.test", "+dnssec")
    assert 'alpn="h2"' in text and "RRSIG\tHTTPS 13 3 " in text
    types = summond.dig("www.example.test", "MX", "+dnssec", "+noall", "+authority").text
    assert "A RRSIG NSEC HTTPS" in types

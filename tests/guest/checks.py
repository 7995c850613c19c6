# SPDX-License-Identifier: ISC
"""What the sample servers must do, wherever they run: as unikernels (boot.py) or as Linux programs
(host.py). Speaks TAP."""
import os
import socket
import subprocess
import sys
import tarfile
import threading
import traceback

HANG = 20  # seconds; a guard, never a measure
BIG = os.urandom(1 << 20)


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def run(self, name, check, *args, **more):
        self.count += 1
        try:
            check(*args, **more)
            print(f"ok {self.count} - {name}", flush=True)
        except Exception:
            self.failed += 1
            print(f"not ok {self.count} - {name}", flush=True)
            for line in traceback.format_exc().splitlines():
                print(f"# {line}", flush=True)

    def skip(self, name, why):
        self.count += 1
        print(f"ok {self.count} - {name} # SKIP {why}", flush=True)

    def finish(self):
        print(f"1..{self.count}")
        sys.exit(1 if self.failed else 0)


def own_network():
    """Starts the program again in a network namespace of its own."""
    if os.environ.get("SUMMOND_OWN_NETWORK"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        return
    flags = ["-n"] if os.geteuid() == 0 else ["-rn"]
    if subprocess.run(["unshare", *flags, "true"], stderr=subprocess.DEVNULL).returncode:
        print("1..0 # SKIP no right to make a network namespace")
        sys.exit(0)
    environment = dict(os.environ, SUMMOND_OWN_NETWORK="1")
    os.execvpe("unshare", ["unshare", *flags, sys.executable, *sys.argv], environment)


def make_site(folder):
    """A small site, as an archive; returns its path."""
    files = {"index.html": b"<h1>root</h1>\n", "sub/index.html": b"<h1>sub</h1>\n",
             "style.css": b"body {}\n", "big.bin": BIG, "empty.txt": b""}
    for name, content in files.items():
        path = os.path.join(folder, "site", name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as out:
            out.write(content)
    archive = os.path.join(folder, "site.tar")
    with tarfile.open(archive, "w", format=tarfile.USTAR_FORMAT) as tar:
        tar.add(os.path.join(folder, "site"), arcname=".")
    return archive


def curl(*args):
    command = ["curl", "-s", "-m", str(HANG), *args]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout


def answer(*args):
    """(status, fields, body) that curl got."""
    head, _, body = curl("-i", *args).partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    return int(status.split()[1]), dict(line.lower().split(": ", 1) for line in lines), body


def expect(what, wanted):
    assert what == wanted, f"{what!r} is not {wanted!r}"


def check_pages(url):
    status, fields, body = answer(f"{url}/")
    expect((status, body), (200, b"<h1>root</h1>\n"))
    expect(fields["content-type"], "text/html; charset=utf-8")
    expect(fields["content-length"], "14")
    tag, date = fields["etag"], fields["last-modified"]
    expect(answer(f"{url}/", "-H", f"If-None-Match: {tag}")[0], 304)
    expect(answer(f"{url}/", "-H", "If-None-Match: \"other\"")[0], 200)
    expect(answer(f"{url}/", "-H", f"If-Modified-Since: {date.title()[:-3]}GMT")[0], 304)
    expect(answer(f"{url}/style.css")[1]["content-type"], "text/css; charset=utf-8")
    status, fields, _ = answer(f"{url}/sub")
    expect((status, fields["location"]), (301, "/sub/"))
    expect(answer(f"{url}/sub/")[2], b"<h1>sub</h1>\n")
    expect(answer(f"{url}/empty.txt")[0::2], (200, b""))


def check_refusals(url):
    expect(answer(f"{url}/none")[0], 404)
    expect(answer(f"{url}/%2e%2e/etc/passwd", "--path-as-is")[0], 400)
    status, fields, _ = answer("-X", "DELETE", f"{url}/")
    expect((status, fields["allow"]), (405, "get, head"))
    expect(answer(f"{url}/{'x' * 3000}")[0], 414)
    expect(answer("-H", f"Long: {'x' * 5000}", f"{url}/")[0], 431)


def check_head(url):
    head = curl("-I", f"{url}/big.bin").decode().lower()
    assert f"content-length: {len(BIG)}\r\n" in head, head


def check_big(url):
    assert curl(f"{url}/big.bin") == BIG, "the file has changed on its way"


def read_all(connection):
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def connect(address, port):
    return socket.create_connection((address, port), timeout=HANG)


def check_keep_alive(address, port):
    """Three requests in one connection, the last two sent at once, and the end by the client."""
    one = b"GET /sub/ HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(address, port) as connection:
        connection.sendall(one)
        first = b""
        while not first.endswith(b"<h1>sub</h1>\n"):
            first += connection.recv(65536)
        connection.sendall(one + one)
        connection.shutdown(socket.SHUT_WR)
        expect(read_all(connection).count(b"<h1>sub</h1>"), 2)


def check_many(address, port):
    """More requests at once than the server holds back for one client."""
    one = b"GET /style.css HTTP/1.1\r\nHost: x\r\n\r\n"
    with connect(address, port) as connection:
        connection.sendall(one * 2000)
        connection.shutdown(socket.SHUT_WR)
        expect(read_all(connection).count(b"body {}"), 2000)


def check_aborts(address, port):
    """Clients that go away in the middle of a large file leave the server working."""
    for _ in range(20):
        with connect(address, port) as connection:
            connection.sendall(b"GET /big.bin HTTP/1.0\r\n\r\n")
            connection.recv(1000)
    expect(answer(f"http://{address}:{port}/sub/")[0], 200)


def check_web(tap, where, address, port):
    url = f"http://{address}:{port}"
    tap.run(f"{where}: pages", check_pages, url)
    tap.run(f"{where}: refusals", check_refusals, url)
    tap.run(f"{where}: HEAD", check_head, url)
    tap.run(f"{where}: a large file", check_big, url)
    tap.run(f"{where}: keep-alive", check_keep_alive, address, port)
    tap.run(f"{where}: pipelining", check_many, address, port)
    tap.run(f"{where}: clients that go away", check_aborts, address, port)


def check_echo_tcp(address, port):
    with connect(address, port) as connection:
        def send():
            connection.sendall(BIG)
            connection.shutdown(socket.SHUT_WR)
        thread = threading.Thread(target=send)
        thread.start()
        back = read_all(connection)
        thread.join()
    assert back == BIG, f"{len(back)} bytes came back of {len(BIG)}"


def check_echo_udp(address, port, source=None):
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as udp:
        udp.settimeout(HANG)
        if source:
            udp.bind((source, 0))
        udp.connect((address, port))  # what comes from elsewhere is no answer
        for size in (0, 1, 1472):
            udp.send(BIG[:size])
            expect(udp.recv(2000), BIG[:size])

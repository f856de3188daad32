import errno
import hashlib
import http.server
import logging
import os
import re
import socket
import threading
import time
from collections import namedtuple

import pytest

from cnnvis.core.errors import UserError
from cnnvis.inputs import http as transfers
from cnnvis.inputs.downloads import fetch, verify
from cnnvis.inputs.http import Meter

CONTENT = bytes(range(256)) * 4096  # 1 MiB
SHA1 = hashlib.sha1(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()
OWN_SHA1, OWN_SHA256 = (hashlib.new(name, b"own").hexdigest() for name in ("sha1", "sha256"))
HALF = len(CONTENT) // 2


class Server(http.server.ThreadingHTTPServer):
    """Serves what a test asks for; `asked` has (path, Range) of every request."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked, self.breaks, self.busy = [], 0, 0
        self.content, self.tag = CONTENT, '"1"'

    def url(self, path="file"):
        return f"http://127.0.0.1:{self.server_port}/{path}"


class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.asked.append((self.path, self.headers["Range"]))
        getattr(self, f"give_{self.path.strip('/').split('?')[0]}")()

    def send(self, status, content, length=None, **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content) if length is None else length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(content)

    def give_file(self):
        """Serve ranges, and break the connection half-way as often as `breaks` says."""
        content = self.server.content
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
        if self.headers["If-Range"] not in (None, self.server.tag):
            start = 0
        if start >= len(content):
            self.send(416, b"", Content_Range=f"bytes */{len(content)}")
            return
        place = f"bytes {start}-{len(content) - 1}/{len(content)}"
        headers = {"Content_Range": place} if start else {}
        if self.server.tag:
            headers["ETag"] = self.server.tag
        stop = len(content)
        if self.server.breaks:
            self.server.breaks -= 1
            stop = max(start, HALF)
        self.send(206 if start else 200, content[start:stop], len(content) - start, **headers)

    def give_whole(self):
        """Know nothing of ranges."""
        self.send(200, self.server.content)

    def give_missing(self):
        self.send(404, b"no such file")

    def give_busy(self):
        """Be overloaded for a while."""
        self.server.busy -= 1
        self.send(503, b"") if self.server.busy >= 0 else self.give_file()

    def give_page(self):
        self.send(200, b"<html>please log in</html>", Content_Type="text/html")

    def give_slow(self):
        self.send(200, CONTENT[:1000], len(CONTENT))
        for start in range(1000, len(CONTENT), HALF // 2):
            time.sleep(0.02)
            self.wfile.write(CONTENT[start : start + HALF // 2])

    def give_stalled(self):
        """Fall silent half-way, the first time."""
        if self.headers["Range"]:
            self.give_file()
            return
        self.send(200, CONTENT[:HALF], len(CONTENT))
        self.wfile.flush()
        self.server.released.wait(10)

    def give_endless(self):
        """Say no length and do not stop."""
        self.send_response(200)
        self.end_headers()
        for _ in range(64):
            self.wfile.write(CONTENT)

    def give_unmeasured(self):
        """Say no length."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(CONTENT)

    def give_moved(self):
        self.send(302, b"", Location="/file")

    def give_circle(self):
        self.send(302, b"", Location="/circle")

    def give_local(self):
        self.send(302, b"", Location="file:///etc/hostname")

    def give_shifted(self):
        """Answer a range with another one."""
        if self.headers["Range"]:
            self.send(206, CONTENT[1:], Content_Range=f"bytes 1-{len(CONTENT) - 1}/{len(CONTENT)}")
        else:
            self.give_file()


@pytest.fixture
def server():
    server = Server()
    server.released = threading.Event()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def place(tmp_path):
    return tmp_path / "models" / "net.caffemodel"


def part_of(place):
    return place.with_name(f"{place.name}.part")


def get(urls, place, **options):
    return fetch(urls, place, **{"progress": False, "wait": 0.01, "timeout": 5, **options})


def refusal(urls, place, **options):
    """Return the one line of a download that fails; nothing has the file's name then."""
    with pytest.raises(UserError) as caught:
        get(urls, place, **options)
    assert not place.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def refused_address():
    """Return an address where nothing listens."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{free.getsockname()[1]}/file"


@pytest.mark.parametrize("name", ["file", "whole", "slow", "unmeasured", "moved"])
@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT), "sha1": SHA1, "sha256": SHA256}])
def test_fetched(server, place, name, known):
    assert get(server.url(name), place, **known) == place
    assert place.read_bytes() == CONTENT
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_checksums_may_be_in_capitals(server, place):
    get(server.url(), place, sha1=SHA1.upper(), sha256=SHA256.upper())
    assert verify(place, size=len(CONTENT), sha1=SHA1.upper()) is None


def test_empty_file(server, place):
    server.content = b""
    get(server.url("whole"), place, size=0)
    assert place.read_bytes() == b""
    assert not part_of(place).exists()


def test_file_in_place_is_neither_fetched_nor_touched(server, place):
    place.parent.mkdir()
    place.write_bytes(b"a user's own")
    os.utime(place, (1000, 1000))
    place.chmod(0o400)
    before = place.stat()
    get(server.url(), place)
    after = place.stat()
    assert (after.st_mtime, after.st_ino, after.st_mode, after.st_atime) == (
        before.st_mtime, before.st_ino, before.st_mode, before.st_atime
    )  # fmt: skip
    assert place.read_bytes() == b"a user's own"
    assert server.asked == []


@pytest.mark.parametrize(
    ("known", "problem"),
    [
        ({"size": 7}, "has 3 bytes, expected 7"),
        ({"size": 3, "sha1": SHA1}, f"has sha1 {OWN_SHA1}, expected {SHA1}"),
        ({"sha256": SHA256}, f"has sha256 {OWN_SHA256}, expected {SHA256}"),
    ],
)  # fmt: skip
def test_other_file_in_place_stays(server, place, known, problem):
    place.parent.mkdir()
    place.write_bytes(b"own")
    with pytest.raises(UserError) as caught:
        get(server.url(), place, **known)
    assert str(caught.value) == (
        f"{place}: {problem}; it is left as it is: move it away to have the published file "
        "fetched, or give your own another name"
    )
    assert place.read_bytes() == b"own"
    assert server.asked == []


def test_not_found(server, place):
    url = server.url("missing")
    assert refusal(url, place) == (
        f"{place}: could not be fetched ({url}: HTTP 404 Not Found); "
        f"fetch {url} by hand and put it at {place}"
    )
    assert len(server.asked) == 1  # asking again does not mend it
    assert list(place.parent.iterdir()) == []


def test_next_mirror(server, place):
    get([server.url("missing"), refused_address(), server.url("file")], place, sha1=SHA1)
    assert place.read_bytes() == CONTENT
    assert [path for path, _ in server.asked] == ["/missing", "/file"]


def test_all_mirrors_are_named(server, place):
    line = refusal([server.url("missing"), refused_address()], place)
    assert "/missing: HTTP 404" in line
    assert "Connection refused" in line
    assert f"fetch {server.url('missing')} by hand" in line


def test_nothing_listens(place):
    begun = time.monotonic()
    assert "Connection refused" in refusal(refused_address(), place, wait=60)
    assert time.monotonic() - begun < 5


def test_no_network(place, monkeypatch):
    def no_name(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    line = refusal("http://models.example/net", place, wait=60)
    assert "its name is not known here (no network?)" in line


def test_broken_connections_are_resumed(server, place):
    server.breaks = 2
    get(server.url(), place)
    assert place.read_bytes() == CONTENT
    ranges = [asked for _, asked in server.asked]
    assert ranges == [None, f"bytes={HALF}-", f"bytes={HALF}-"]


def test_broken_too_often(server, place):
    server.breaks = 99
    line = refusal(server.url(), place, attempts=3, sha1=SHA1)
    assert f"the connection broke after {HALF} of {len(CONTENT)} bytes" in line
    assert len(server.asked) == 3
    assert part_of(place).stat().st_size == HALF  # the next run goes on from there


def test_next_run_resumes_where_a_checksum_tells(server, place):
    place.parent.mkdir()
    part_of(place).write_bytes(CONTENT[:1000])
    get(server.url(), place, sha256=SHA256)
    assert place.read_bytes() == CONTENT
    assert server.asked == [("/file", "bytes=1000-")]


def test_next_run_starts_again_without_checksum(server, place):
    place.parent.mkdir()
    part_of(place).write_bytes(b"of who knows what")
    get(server.url(), place, size=len(CONTENT))
    assert place.read_bytes() == CONTENT
    assert server.asked == [("/file", None)]


def test_part_of_something_else_is_thrown_away(server, place):
    place.parent.mkdir()
    part_of(place).write_bytes(b"x" * 1000)
    get(server.url(), place, sha1=SHA1)
    assert place.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_part_that_is_complete(server, place, size):
    place.parent.mkdir()
    part_of(place).write_bytes(CONTENT)
    get(server.url(), place, sha1=SHA1, size=size)
    assert place.read_bytes() == CONTENT
    assert len(server.asked) == (size is None)  # a range that is not there, or no question at all


@pytest.mark.parametrize("size", [None, len(CONTENT)])
def test_part_that_is_too_long(server, place, size):
    place.parent.mkdir()
    part_of(place).write_bytes(CONTENT + b"more")
    get(server.url(), place, sha1=SHA1, size=size)
    assert place.read_bytes() == CONTENT


def test_server_without_ranges_starts_again(server, place):
    place.parent.mkdir()
    part_of(place).write_bytes(CONTENT[:1000])
    get(server.url("whole"), place, sha1=SHA1)
    assert place.read_bytes() == CONTENT


def test_server_that_sends_another_range(server, place):
    server.breaks = 1
    get([server.url("shifted"), server.url("whole")], place)
    assert place.read_bytes() == CONTENT


def test_file_that_changes_while_it_is_fetched(server, place, monkeypatch):
    """The tag of the first half is not that of the second: all of it is sent again."""
    server.breaks = 1
    changed = CONTENT[::-1]

    def change(_):
        server.content, server.tag = changed, '"2"'

    monkeypatch.setattr(time, "sleep", change)
    get(server.url(), place)
    assert place.read_bytes() == changed


def test_halves_without_a_tag_are_not_joined(server, place):
    server.breaks, server.tag = 1, None
    get(server.url(), place)
    assert place.read_bytes() == CONTENT
    assert [asked for _, asked in server.asked] == [None, None]


def test_wrong_checksum(server, place):
    line = refusal(server.url(), place, sha1="0" * 40)
    assert f"has sha1 {SHA1}, expected {'0' * 40}" in line
    assert list(place.parent.iterdir()) == []  # and nothing to resume from
    assert len(server.asked) == 1


def test_wrong_checksum_at_the_first_mirror(server, place):
    server.content = CONTENT[::-1]

    def url(name):
        return server.url(name)

    with pytest.raises(UserError):
        get([url("whole"), url("file")], place, sha1=SHA1)
    get([url("file"), url("slow")], place, sha1=SHA1)  # slow has the right content
    assert place.read_bytes() == CONTENT


@pytest.mark.parametrize("name", ["file", "whole", "unmeasured"])
def test_wrong_size(server, place, name):
    line = refusal(server.url(name), place, size=len(CONTENT) + 1)
    assert f"expected {len(CONTENT) + 1}" in line


def test_page_instead_of_the_file_keeps_what_was_fetched(server, place):
    place.parent.mkdir()
    part_of(place).write_bytes(CONTENT[:1000])
    known = {"sha1": SHA1, "size": len(CONTENT)}
    assert f"offers 26 bytes, expected {len(CONTENT)}" in refusal(
        server.url("page"), place, **known
    )
    get(server.url(), place, **known)
    assert server.asked[-1] == ("/file", "bytes=1000-")


def test_page_instead_of_the_file(server, place):
    assert "answers with a web page" in refusal(server.url("page"), place)
    get(server.url("page"), place.with_name("page.html"))


def test_endless_file(server, place):
    line = refusal(server.url("endless"), place, size=len(CONTENT))
    assert f"sends more than the expected {len(CONTENT)} bytes" in line


def test_busy_server_is_asked_again(server, place):
    server.busy = 2
    get(server.url("busy"), place)
    assert place.read_bytes() == CONTENT
    assert len(server.asked) == 3


def test_server_that_stays_busy(server, place):
    server.busy = 99
    assert "HTTP 503" in refusal(server.url("busy"), place, attempts=2)
    assert len(server.asked) == 2


def test_server_that_falls_silent(server, place):
    get(server.url("stalled"), place, timeout=0.3, sha1=SHA1)
    assert place.read_bytes() == CONTENT
    assert server.asked == [("/stalled", None), ("/stalled", f"bytes={HALF}-")]


def test_server_that_stays_silent(server, place):
    line = refusal(server.url("stalled"), place, timeout=0.2, attempts=1)
    assert "no answer in time" in line


def test_redirects_do_not_lead_astray(server, place):
    assert "infinite loop" in refusal(server.url("circle"), place)
    assert "file:" in refusal(server.url("local"), place)


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "ftp://example.org/x", "/etc/hostname", "http:///x"]
)
def test_addresses_that_are_none(place, url):
    with pytest.raises(UserError, match="is no address; expected http:// or https://"):
        get(url, place)
    with pytest.raises(UserError, match="has no address"):
        get([], place)


def test_disk_with_too_little_room(server, place, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(transfers.shutil, "disk_usage", lambda _: usage(10, 0, 10))
    with pytest.raises(UserError, match=f"needs {len(CONTENT)} more bytes, and its disk has 10"):
        get([server.url(), server.url("whole")], place)
    assert len(server.asked) == 1
    assert list(place.parent.iterdir()) == []


def test_disk_that_becomes_full(server, place, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    part_file = type("Full", (), {"write": full})()
    monkeypatch.setattr(
        transfers.Transfer,
        "_write",
        _with_file(transfers.Transfer._write, part_file),
    )
    with pytest.raises(UserError, match="cannot be written .No space left on device"):
        get([server.url(), server.url("whole")], place)
    assert len(server.asked) == 1  # no other address would help


def _with_file(write, file):
    def run(transfer, chunk):
        opened, transfer.part.file = transfer.part.file, file
        try:
            write(transfer, chunk)
        finally:
            transfer.part.file = opened

    return run


def test_folder_that_cannot_be_made(server, tmp_path):
    (tmp_path / "models").write_text("a file")
    with pytest.raises(UserError, match="models/net: cannot be written"):
        get(server.url(), tmp_path / "models" / "net")


def test_two_runs_at_once_fetch_once(server, place):
    done, errors = [], []

    def run():
        try:
            done.append(get(server.url("slow"), place, sha1=SHA1))
        except UserError as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert done == [place] * 4
    assert place.read_bytes() == CONTENT
    assert len(server.asked) == 1
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_file_system_without_locks(server, place, monkeypatch):
    def no_locks(*_):
        raise OSError(errno.ENOSYS, "Function not implemented")

    monkeypatch.setattr("cnnvis.inputs.downloads.fcntl.flock", no_locks)
    get(server.url(), place, sha1=SHA1)
    assert place.read_bytes() == CONTENT
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_file_put_there_by_hand_meanwhile_stays(server, place, monkeypatch):
    append = transfers.Transfer._append

    def put(transfer, answer, total):
        append(transfer, answer, total)
        place.write_bytes(CONTENT[:-1])

    monkeypatch.setattr(transfers.Transfer, "_append", put)
    get(server.url(), place)
    assert place.read_bytes() == CONTENT[:-1]


def test_meter():
    """2 MB/s after a resume at 20 MB of 100 MB."""
    now = [100.0]
    meter = Meter("net", 100_000_000, shown=False, clock=lambda: now[0])
    meter.start(20_000_000, None)
    now[0] += 10
    meter.report(40_000_000)
    assert meter.line() == "net: 40 % of 100.0 MB, 2.0 MB/s, 30 s left"
    unknown = Meter("net", shown=False, clock=lambda: now[0])
    unknown.start(0, None)
    now[0] += 2
    unknown.report(1_000_000)
    assert unknown.line() == "net: 1.0 MB, 0.5 MB/s"


def test_progress_is_seen(server, place, capsys, caplog):
    with caplog.at_level(logging.INFO):
        fetch(server.url(), place)
    shown = capsys.readouterr().err.splitlines()
    assert shown == [
        "net.caffemodel: fetching 0 % of 1.0 MB",
        "net.caffemodel: fetched 1.0 MB",
    ]
    assert [record.message for record in caplog.records] == shown

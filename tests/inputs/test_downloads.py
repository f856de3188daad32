"""Downloads from a server that breaks connections, is overloaded, and sends something else."""

import hashlib
import http.server
import logging
import os
import re
import resource
import socket
import threading
import time

import pytest

from cnnvis.core.errors import UserError
from cnnvis.inputs.downloads import fetch

CONTENT = bytes(range(256)) * 4096  # 1 MiB
HALF = len(CONTENT) // 2
SHA1 = hashlib.sha1(CONTENT).hexdigest()
SHA256 = hashlib.sha256(CONTENT).hexdigest()


ANSWERS = {
    "/whole": (200, CONTENT, {}),  # ranges are ignored
    "/missing": (404, b"no such file", {}),
    "/page": (200, b"<html>please log in</html>", {}),
    "/moved": (302, b"", {"Location": "/file"}),
    "/circle": (302, b"", {"Location": "/circle"}),
    "/nothing": (204, b"", {}),
    "/part": (206, CONTENT, {}),
    "/gzip": (200, CONTENT, {"Content-Encoding": "gzip"}),
    "/local": (302, b"", {"Location": "file:///etc/hostname"}),
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers as the path says; the server's `requests` has (path, Range) of every request."""

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.server.requests.append((self.path, self.headers["Range"]))
        if self.path in ANSWERS:
            status, content, headers = ANSWERS[self.path]
            self.send(status, content, len(content), **headers)
        else:
            getattr(self, f"give_{self.path.strip('/')}")()

    def send(self, status, content, length, **headers):
        self.send_response(status)
        for name, value in (headers | {"Content-Length": length}).items():
            if value is not None:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def give_file(self, content=CONTENT):
        """Serve ranges, and break the connection half-way as often as `breaks` says."""
        start = int(re.fullmatch(r"bytes=(\d+)-", self.headers["Range"] or "bytes=0-")[1])
        if start >= len(content):
            self.send(416, b"", 0)
            return
        stop = max(start, HALF) if self.server.breaks else len(content)
        self.server.breaks -= bool(self.server.breaks)
        self.send(206 if start else 200, content[start:stop], len(content) - start)

    def give_other(self):
        self.give_file(CONTENT[::-1])

    def give_unmeasured(self):
        self.send(200, CONTENT, None)

    def give_endless(self):
        self.send(200, CONTENT * 64, None)

    def give_wrong_part(self):
        if self.headers["Range"]:
            self.send(206, CONTENT[5:], HALF, **{"Content-Range": "bytes 5-9/9"})
        else:
            self.send(200, CONTENT[:HALF], len(CONTENT))

    def give_drops(self):
        """Send a byte now and then, without end."""
        self.send(200, b"", None)
        while not self.server.released.wait(0.02):
            self.wfile.write(b"x")

    def give_busy(self):
        if self.server.busy:
            self.send(self.server.busy.pop(), b"", 0)
        else:
            self.give_file()

    def give_stalled(self):
        """Fall silent half-way, the first time."""
        if self.headers["Range"]:
            self.give_file()
        else:
            self.send(200, CONTENT[:HALF], len(CONTENT))
            self.server.released.wait(10)


@pytest.fixture
def server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # clients hang up on purpose
    server.requests, server.breaks, server.busy = [], 0, []
    server.released = threading.Event()
    server.url = lambda path="file": f"http://127.0.0.1:{server.server_port}/{path}"
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "models").mkdir()
    return tmp_path / "models" / "net.caffemodel"


@pytest.fixture
def part(place):
    return place.with_name(f"{place.name}.part")


def get(urls, place, **options):
    urls = [urls] if isinstance(urls, str) else urls
    known = {key: options.pop(key) for key in ("size", "sha1", "sha256") if options.get(key)}
    options.pop("size", None)
    fetch({"urls": urls, **known}, place, **{"wait": 0.01, "timeout": 5, **options})


def refusal(urls, place, **options):
    """Return the one line of a download that fails; no file has the name then."""
    with pytest.raises(UserError) as caught:
        get(urls, place, **options)
    assert not place.exists()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["file", "whole", "unmeasured", "moved"])
@pytest.mark.parametrize("known", [{}, {"size": len(CONTENT), "sha1": SHA1.upper()}])
def test_the_whole_file_is_there_and_nothing_else(server, place, name, known):
    get(server.url(name), place, **known)
    assert place.read_bytes() == CONTENT
    assert list(place.parent.iterdir()) == [place]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("nothing", "HTTP 204, which is no file"),
        ("part", "a part that was not asked for"),
        ("gzip", "encoded as gzip"),
        ("drops", "less than 1000 bytes a second"),
        ("endless", "more than 1000 bytes, without end"),
    ],
)
def test_answers_that_are_no_file(server, place, monkeypatch, name, reason):
    monkeypatch.setattr("cnnvis.inputs.http.UNANNOUNCED", 1000)
    assert reason in refusal(server.url(name), place, timeout=0.2, attempts=2)


def test_another_part_than_was_asked_for(server, place):
    assert "not asked for" in refusal(server.url("wrong_part"), place, sha256=SHA256)


def test_a_part_that_is_a_link_is_not_followed(server, place, part, tmp_path):
    (tmp_path / "mine").write_text("mine")
    part.symlink_to(tmp_path / "mine")
    get(server.url(), place, sha256=SHA256)
    assert place.read_bytes() == CONTENT and not place.is_symlink()
    assert (tmp_path / "mine").read_text() == "mine"


def test_file_in_place_is_only_verified(server, place):
    place.write_bytes(b"own")
    os.utime(place, (1000, 1000))
    get(server.url(), place, size=3, sha1=hashlib.sha1(b"own").hexdigest())
    with pytest.raises(UserError) as caught:
        get(server.url(), place, size=7)
    assert str(caught.value) == (
        f"{place}: has 3 bytes, expected 7; it was not changed: move it away to have the "
        "published file downloaded, or give your own file another name"
    )
    assert (place.read_bytes(), place.stat().st_mtime) == (b"own", 1000)
    assert server.requests == []


def test_not_found(server, place):
    url = server.url("missing")
    assert refusal(url, place) == (
        f"{place}: cannot be downloaded ({url}: HTTP 404 Not Found); "
        f"download {url} and save it as {place}"
    )
    assert len(server.requests) == 1  # a retry would not help


def test_mirrors_are_tried_in_order(server, place):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        refused = f"http://127.0.0.1:{free.getsockname()[1]}/file"
    begin = time.monotonic()
    line = refusal([server.url("missing"), refused], place, wait=60)
    assert "/missing: HTTP 404" in line and "Connection refused" in line
    assert time.monotonic() - begin < 5
    get([server.url("missing"), refused, server.url("page"), server.url()], place, sha1=SHA1)
    assert place.read_bytes() == CONTENT


def test_no_network(place, monkeypatch):
    def no_name(*_, **__):
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", no_name)
    line = refusal("http://models.example/net", place, wait=60)
    assert "host name cannot be resolved (offline?)" in line


def test_broken_connections_are_resumed(server, place, caplog):
    server.breaks = 2
    with caplog.at_level(logging.INFO):
        get(server.url(), place, sha256=SHA256)
    assert place.read_bytes() == CONTENT
    assert server.requests == [("/file", x) for x in (None, *[f"bytes={HALF}-"] * 2)]
    assert "net.caffemodel: resuming at 0.5 MB" in caplog.messages
    assert caplog.messages[-1].startswith("net.caffemodel: 1.0 of 1.0 MB, ")


def test_without_checksum_nothing_is_resumed(server, place, part):
    part.write_bytes(CONTENT[:1000])
    server.breaks = 1
    get(server.url(), place, size=len(CONTENT))
    assert place.read_bytes() == CONTENT
    assert server.requests == [("/file", None)] * 2


def test_the_next_run_resumes(server, place, part):
    server.breaks = 99
    line = refusal(server.url(), place, attempts=3, sha1=SHA1)
    assert f"the connection broke after {HALF} of {len(CONTENT)} bytes" in line
    assert len(server.requests) == 3
    assert part.stat().st_size == HALF
    assert "offers 26 bytes" in refusal(server.url("page"), place, sha1=SHA1, size=len(CONTENT))
    server.breaks = 0
    get(server.url(), place, sha1=SHA1)
    assert server.requests[-1] == ("/file", f"bytes={HALF}-")
    assert place.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize("left", [b"x" * 1000, CONTENT, CONTENT + b"more"])
@pytest.mark.parametrize("name", ["file", "whole"])
def test_whatever_part_is_left_the_file_is_right(server, place, part, size, left, name):
    part.write_bytes(left)
    get(server.url(name), place, sha1=SHA1, size=size)
    assert list(place.parent.iterdir()) == [place]
    assert place.read_bytes() == CONTENT


def test_wrong_checksum(server, place):
    line = refusal(server.url("other"), place, sha1=SHA1)
    assert f"has sha1 {hashlib.sha1(CONTENT[::-1]).hexdigest()}, expected {SHA1}" in line
    assert list(place.parent.iterdir()) == []
    assert len(server.requests) == 1
    get([server.url("other"), server.url()], place, sha1=SHA1)
    assert place.read_bytes() == CONTENT


def test_wrong_size(server, place):
    for name in ("file", "unmeasured"):
        line = refusal(server.url(name), place, size=len(CONTENT) + 1)
        assert f"expected {len(CONTENT) + 1}" in line
    line = refusal(server.url("endless"), place, size=len(CONTENT))
    assert f"sends more than the expected {len(CONTENT)} bytes" in line


def test_overloaded_server_is_tried_again(server, place):
    server.busy = [503, 500]
    get(server.url("busy"), place)
    assert place.read_bytes() == CONTENT
    server.busy = [503] * 9
    assert "HTTP 503" in refusal(server.url("busy"), place.with_name("other"), attempts=2)
    assert len(server.requests) == 3 + 2


def test_server_that_falls_silent(server, place):
    assert "no answer in time" in refusal(server.url("stalled"), place, timeout=0.2, attempts=1)
    get(server.url("stalled"), place, timeout=0.3, sha1=SHA1)
    assert place.read_bytes() == CONTENT
    assert server.requests[1:] == [("/stalled", None), ("/stalled", f"bytes={HALF}-")]


def test_redirects_lead_nowhere_else(server, place):
    assert "infinite loop" in refusal(server.url("circle"), place)
    assert "file:" in refusal(server.url("local"), place)


def test_a_write_that_the_system_refuses(server, place):
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (HALF, limits[1]))
    try:
        with pytest.raises(UserError, match="cannot be written .File too large"):
            get([server.url(), server.url("whole")], place)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not place.exists()
    assert len(server.requests) == 1  # no other address would help


def test_folder_that_cannot_be_made(server, place):
    place.write_text("a file")
    with pytest.raises(UserError, match="net.caffemodel/net: cannot be written"):
        get(server.url(), place / "net")

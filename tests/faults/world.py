"""What the tests of faults share: a server, a small study, and what it is like when it is whole."""

import hashlib
import http.server
import os
import signal
import threading
import time
from contextlib import contextmanager, suppress

import numpy as np
import yaml
from PIL import Image

from tests.conftest import ROOT, copy_study

WEIGHTS = ROOT / "tests" / "goldens" / "caffenet_thin.caffemodel"
PIECES, PAUSE = 16, 0.1
"""A download comes in so many pieces, with so many seconds between them."""


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the files of its server, slowly, from where the request asks it to begin."""

    def do_GET(self):
        content = self.server.files[self.path]
        asked = self.headers.get("Range", "bytes=0-")
        start = int(asked.removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        step = len(content) // PIECES + 1
        for place in range(start, len(content), step):
            self.wfile.write(content[place : place + step])
            time.sleep(PAUSE)

    def log_message(self, *arguments):
        """Say nothing."""

    def handle(self):
        with suppress(OSError):  # who asked was killed
            super().handle()


@contextmanager
def serve(files):
    """Serve ``{path: bytes}`` on a free port; yield the address."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files = files
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def picture(number):
    return Image.fromarray(
        np.random.default_rng(number).integers(0, 255, (40, 50, 3), dtype=np.uint8)
    )


def make_study(folder, address):
    """Copy the workflow with a small configuration: two downloads, 17 jobs with few layers."""
    study = copy_study(folder)
    (folder / "pets").mkdir()
    for number in range(3):
        picture(number).save(folder / "pets" / f"{number}.png")
    (folder / "labels.txt").write_text("".join(f"class {number}\n" for number in range(10)))
    weights = {
        "url": f"{address}/weights",
        "sha256": hashlib.sha256(WEIGHTS.read_bytes()).hexdigest(),
    }
    network = {"prototxt": "thin/caffenet_thin.prototxt", "weights": weights, "score": "fc8"}
    config = {
        "networks": {"thin": {**network, "mean": [104, 117, 123], "labels": "labels.txt"}},
        # Without a checksum, so that its download begins anew.
        "images": {"cat": {"path": f"{address}/cat.png", "classes": [1]}},
        "orderings": {"natural": {}, "pca": {}},
        "slices": {"rows": []},
        "volumes": {"layers": ["conv1"]},
        "gradients": {"layers": ["conv1"], "check": "none"},
        "collections": {"pets": {"path": "pets", "cls": 1}},
        "pruning": {"layers": ["conv1"], "steps": [1, 4], "random_seeds": 1},
    }
    (folder / "config" / "config.yaml").write_text(yaml.safe_dump(config))
    return study


def contents(study, hidden=True):
    """Return ``{path: digest}`` of all files of a study but Snakemake's own and logs."""
    found = {}
    for place, folders, names in os.walk(study.folder):
        if place == str(study.folder):
            folders[:] = set(folders) - {".snakemake", "logs", "snakemake"}
            names = set(names) - {"said"}
        folders[:] = set(folders) - {"__pycache__"}
        for name in names:
            path = os.path.join(place, name)
            if hidden or not name.startswith("."):
                with open(path, "rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found[os.path.relpath(path, study.folder)] = digest
    return found


def results(study):
    """Return how many visible result files there are."""
    walk = os.walk(study.folder / "results")
    return sum(not name.startswith(".") for _, _, names in walk for name in names)


def wait_for(condition, process, seconds=300):
    """Wait until something holds, or a process or the time is over."""
    end = time.monotonic() + seconds
    while not condition() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.01)


def send(process, number):
    """Send a signal to all processes of a run."""
    os.killpg(process.pid, number)


def kill(process, alone):
    """Kill a run: Snakemake alone, whose jobs go on, or all its processes."""
    process.kill() if alone else send(process, signal.SIGKILL)
    process.wait()

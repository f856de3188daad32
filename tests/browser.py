"""A headless Chromium for tests, driven over its debugging pipe: no package, no port needed."""

import fcntl
import json
import os
import select
import shutil
import subprocess
import time

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
    *("--disable-background-networking", "--remote-debugging-pipe"),
)
SOFTWARE_GL = ("--use-angle=swiftshader", "--enable-unsafe-swiftshader")
SECONDS = 120


def find_browser():
    """Return the path of the first browser of `NAMES`, or None."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Browser:
    """One browser process; a context manager."""

    def __init__(self, profile, flags=SOFTWARE_GL):
        # The browser reads commands from descriptor 3 and writes answers to 4.
        ours = [_above_four(end) for end in (*os.pipe(), *os.pipe())]
        theirs_in, self._write, self._read, theirs_out = ours

        def connect():
            os.dup2(theirs_in, 3)
            os.dup2(theirs_out, 4)

        self._process = subprocess.Popen(
            [find_browser(), *FLAGS, *flags, f"--user-data-dir={profile}"],
            preexec_fn=connect,
            close_fds=False,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self._count, self._rest = 0, b""
        self._targets, self.errors = {}, []

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.send("Browser.close")
            self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._write)
            os.close(self._read)

    def send(self, method, session=None, **parameters):
        """Send one command of the DevTools protocol and return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if session:
            message["sessionId"] = session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("method") == "Runtime.exceptionThrown":
                self.errors.append(answer["params"]["exceptionDetails"])
            if answer.get("id") == self._count:
                assert "error" not in answer, (method, answer["error"])
                return answer["result"]

    def _receive(self):
        until = time.monotonic() + SECONDS
        while b"\0" not in self._rest:
            ready, _, _ = select.select([self._read], [], [], max(0, until - time.monotonic()))
            part = os.read(self._read, 1 << 20) if ready else b""
            if not part:
                raise TimeoutError(f"the browser did not answer within {SECONDS} seconds")
            self._rest += part
        line, _, self._rest = self._rest.partition(b"\0")
        return json.loads(line)

    def open(self, address, width=1000, height=700, media=()):
        """Open an address in a new tab of this size and return the tab's session."""
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        session = self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._targets[session] = target
        for domain in ("Page", "Runtime"):
            self.send(f"{domain}.enable", session)
        self.send(
            "Emulation.setDeviceMetricsOverride",
            session,
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=False,
        )
        self.send("Emulation.setEmulatedMedia", session, features=list(media))
        self.errors.clear()
        self.send("Page.navigate", session, url=address)
        return session

    def close(self, session):
        """Close a tab."""
        self.send("Target.closeTarget", targetId=self._targets.pop(session))

    def run(self, session, body):
        """Run the body of an async function in the tab; return what it returns."""
        result = self.send(
            "Runtime.evaluate",
            session,
            expression=f"(async () => {{ {body} }})()",
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result["exceptionDetails"]
        return result["result"].get("value")

    def wait(self, session, condition):
        """Wait until an expression is true in the tab."""
        until = time.monotonic() + SECONDS
        while not self.run(session, f"return Boolean({condition});"):
            assert time.monotonic() < until, f"never true in the page: {condition}"
            time.sleep(0.05)


def _above_four(descriptor):
    """Move a descriptor out of the way of those the browser wants."""
    moved = fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, 10)
    os.close(descriptor)
    return moved

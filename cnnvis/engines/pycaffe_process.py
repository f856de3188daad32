"""A process that runs Caffe: its interpreter, the commands to it, and its error messages."""

import contextlib
import importlib.util
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import weakref
from pathlib import Path

import numpy as np

from cnnvis.core.errors import UserError

WORKER = Path(__file__).with_name("pycaffe_worker.py")

THREE_WAYS = (
    "engine pycaffe: no Python that imports caffe was found; three ways to get one: "
    "conda (snakemake --profile profiles/pycaffe), Debian (scripts/install_caffe.sh PREFIX), "
    "or any other installation, named in the config (pycaffe: {python: PATH})"
)

_CHECK = re.compile(r"^F\d{4,8} \S+ +\d+ \S+:\d+\] (.*?)(?=^\*\*\* |^@|\Z)", re.M | re.S)
_PROTOBUF = re.compile(r"^\[libprotobuf (?:ERROR|FATAL) [^\]]*\] (.*)$", re.M)


def start_caffe(python=None, threads=None):
    """Start a process in which Caffe accepts commands.

    Parameters
    ----------
    python : str or Path, optional
        The interpreter, or a PREFIX of ``scripts/install_caffe.sh``.
    threads : int, optional
        How many the process may use.

    Returns
    -------
    CaffeProcess

    Raises
    ------
    UserError
        If the interpreter cannot be run or does not import caffe.
    """
    if python is not None:
        python = Path(python).expanduser()
        inside = python / "bin" / "python"
        return CaffeProcess(str(inside if python.is_dir() else python), threads)
    reasons = ""
    for candidate in _candidates():
        try:
            return CaffeProcess(candidate, threads)
        except UserError as error:
            reasons += f" ({error})"
    raise UserError(THREE_WAYS + reasons)


def _candidates():
    """Return the interpreters to try where the user names none."""
    candidates = [sys.executable] if importlib.util.find_spec("caffe") else []
    # If the Python of a rule's conda environment is older than its own, Snakemake runs the script
    # with its own Python, the environment being activated.
    conda = Path(os.environ.get("CONDA_PREFIX", "/nowhere")) / "bin" / "python"
    if conda.exists() and not conda.samefile(sys.executable):
        candidates.append(str(conda))
    return candidates


class CaffeProcess:
    """A process that runs Caffe, and the folder through which arrays are exchanged.

    Attributes
    ----------
    python : str
        The interpreter.
    folder : Path
    names : dict
        ``{path in folder: the user's file that messages name instead}``.
    version : str
        Caffe's own.
    """

    def __init__(self, python, threads=None):
        self._temporary = tempfile.TemporaryDirectory(prefix="cnnvis-caffe-")
        self.folder = Path(self._temporary.name)
        self.names = {}
        self.python = python
        self._log = self.folder / "log"
        try:
            with self._log.open("wb") as log:
                self._process = subprocess.Popen(
                    [python, str(WORKER), str(self.folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    env=_environment(threads),
                )
        except OSError as error:
            raise UserError(
                f"pycaffe.python: {python} cannot be run ({error.strerror}): expected the path of "
                "a Python that imports caffe"
            ) from error
        self._finalizer = weakref.finalize(self, _end, self._process, self._temporary)
        try:
            self.version = self._answer(python)["caffe"]
        except UserError as error:
            self.close()
            raise UserError(f"pycaffe.python: {error}") from error

    def ask(self, command, about, **arguments):
        """Run a command in the process and return its answer.

        Parameters
        ----------
        command : str
            A method of the worker.
        about : str
            The file that a message names if Caffe fails.

        Raises
        ------
        UserError
            With Caffe's message if it refuses the command or its process ends.
        """
        if not self._finalizer.alive:
            raise UserError(f"{about}: the network is closed: open it again")
        line = json.dumps({"command": command, **arguments}) + "\n"
        # If the process has ended, `_answer` says why.
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        return self._answer(about)

    def _answer(self, about):
        line = self._process.stdout.readline()
        if not line:
            raise UserError(f"{about}: {self._named(self._last_words())}")
        answer = json.loads(line)
        if "error" in answer:
            raise UserError(f"{about}: {self._named(answer['error'])}")
        return answer["ok"]

    def _named(self, text):
        for path, name in self.names.items():
            text = text.replace(path, name)
        return text

    def _last_words(self):
        """Return in one line how the process ended, in Caffe's words if possible."""
        code = self._process.wait()
        log = self._log.read_text(errors="replace")
        messages = _PROTOBUF.findall(log) + _CHECK.findall(log)
        if messages:
            return "Caffe says: " + "; ".join(" ".join(part.split()) for part in messages)
        if code < 0:
            hint = ", perhaps out of memory" if -code == signal.SIGKILL else ""
            return f"Caffe's process was ended by {signal.Signals(-code).name}{hint}"
        last = log.strip().splitlines()[-1:] or ["it printed nothing"]
        return f"the process ended with status {code}: {last[0].strip()}"

    @contextlib.contextmanager
    def arrays(self):
        """Yield a function that stores an array for one command and returns its path."""
        if not self._finalizer.alive:
            raise UserError("the network is closed: open it again")
        paths = []

        def store(array):
            paths.append(self.folder / f"given-{len(paths)}.npy")
            np.save(paths[-1], np.asarray(array, np.float32))
            return str(paths[-1])

        try:
            yield store
        finally:
            for path in paths:
                path.unlink(missing_ok=True)

    def take(self, path):
        """Read an array that the process has stored, and delete its file."""
        array = np.load(path)
        os.unlink(path)
        return array

    def close(self):
        """End the process and delete its folder."""
        self._finalizer()


def _environment(threads):
    """Return the process's environment: its threads, and silence but for what is fatal."""
    count = str(threads or len(os.sched_getaffinity(0)))
    libraries = ("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS")
    return {
        **os.environ,
        **dict.fromkeys(libraries, count),
        "GLOG_minloglevel": "2",
        "GLOG_logtostderr": "1",
    }


def _end(process, temporary):
    """End a process that waits for commands: without its input it leaves by itself."""
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
    temporary.cleanup()

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("Snakefile", "cnnvis", "config", "envs", "profiles", "scripts", "workflow")
THIN = ("caffenet_thin.prototxt", "caffenet_thin.caffemodel")
# The entry of a configuration for it, in a copy of the study.
THIN_NETWORK = {
    "prototxt": f"thin/{THIN[0]}",
    "weights": f"thin/{THIN[1]}",
    "mean": [104, 117, 123],
    "score": "fc8",
}


class Study:
    """A copy of the workflow in a folder of its own, to change and to run."""

    def __init__(self, folder):
        self.folder = folder

    def snakemake(self, *arguments, environment=os.environ, timeout=300):
        """Run Snakemake here; the workflow profile's settings hold, the user's do not."""
        options = self.surroundings(environment)
        return subprocess.run(
            self.command(*arguments), **options, capture_output=True, timeout=timeout
        )

    def start(self, *arguments):
        """Start Snakemake here, in a process group of its own; what it says goes to ``said``."""
        with (self.folder / "said").open("w") as said:
            return subprocess.Popen(
                self.command(*arguments),
                **self.surroundings(),
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @staticmethod
    def command(*arguments):
        return [sys.executable, "-m", "snakemake", *arguments]

    def surroundings(self, environment=os.environ):
        environment = {key: value for key, value in environment.items() if key != "PYTHONPATH"}
        environment["XDG_CONFIG_HOME"] = str(self.folder)
        return {"cwd": self.folder, "env": environment, "text": True}

    def plan(self, *arguments):
        """Return {output: rule} of all that a run would make or make again."""
        found = self.snakemake("--summary", *arguments)
        assert found.returncode == 0, found.stderr
        rows = [line.split("\t") for line in found.stdout.splitlines()]
        return {row[0]: row[2] for row in rows[1:] if row[-1] == "update pending"}

    def pretend(self, *arguments):
        """Have Snakemake take everything for made: empty files, real records."""
        for output in self.plan(*arguments):
            path = self.folder / output
            path.parent.mkdir(parents=True, exist_ok=True)
            # What has no suffix is a folder: the frames of a series, the crops of a collection.
            path.touch() if path.suffix else path.mkdir(exist_ok=True)
        found = self.snakemake("--touch", "--forceall", "--cores", "1", "--quiet", *arguments)
        assert found.returncode == 0, found.stderr

    def append(self, path, text):
        with (self.folder / path).open("a") as file:
            file.write(text)


def copy_study(folder):
    """Copy the workflow, without results, and a small network with weights."""
    (folder / "thin").mkdir(parents=True)
    ignored = shutil.ignore_patterns("__pycache__", ".*")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, folder / part, ignore=ignored)
        else:
            shutil.copy(source, folder / part)
    for name in THIN:
        shutil.copy(ROOT / "tests" / "goldens" / name, folder / "thin" / name)
    return Study(folder)


@pytest.fixture
def study(tmp_path):
    """Return a `Study` in a fresh folder, with the default configuration."""
    return copy_study(tmp_path / "study")

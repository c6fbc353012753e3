"""A copy of this repository in a temporary folder, with a tiny experiment checked out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]

# Small enough for a whole run in half a minute; every stage does its real work.
TINY = {
    "download": {"sample": {"subjects": 6}},
    "train": {"input_size": 16, "epochs": 2, "batch_size": 16},
    "evaluate": {"figure_dpi": 50},
}


class Checkout:
    """A repository of its own, and the commands that a user runs in it."""

    def __init__(self, path: Path):
        self.path = path
        # As after `source .venv/bin/activate`, and with nothing of this machine's git and DVC.
        home = path.parent / "home"
        home.mkdir(exist_ok=True)
        self.environment = {
            **{
                k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_", "TF_CPP_"))
            },
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
        }

    def run(self, *command, check=True):
        """Run a command; return what it printed, stdout and stderr together."""
        done = subprocess.run(
            command,
            cwd=self.path,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=300,
        )
        assert not check or done.returncode == 0, (
            f"{command} ended with {done.returncode}:\n{done.stdout}"
        )
        self.code = done.returncode
        return done.stdout

    def dvc(self, *args, check=True):
        return self.run("dvc", *args, check=check)

    def git(self, *args):
        return self.run("git", "-c", "user.name=t", "-c", "user.email=t@t.example", *args)

    def stages_run(self, output):
        """The stages that a `dvc repro` printed that it ran."""
        return [
            line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")
        ]

    def params(self):
        return YAML(typ="safe", pure=True).load((self.path / "params.yaml").read_text())

    def set(self, changes):
        """Change values of params.yaml, as an editor would; comments are lost here."""
        values = self.params()
        merge(values, changes)
        with (self.path / "params.yaml").open("w") as file:
            YAML(typ="safe", pure=True).dump(values, file)

    def json(self, name):
        return json.loads((self.path / name).read_text())


def merge(values, changes):
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(values[key], value)
        else:
            values[key] = value


def copy_tracked(target: Path) -> None:
    """Copy what git tracks or would track, as it is in the working tree."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        outputs = name.split("/")[0] in ("data", "models", "reports") or source.name == "dvc.lock"
        if source.is_file() and not outputs:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target / name)
    (target / "data/local").mkdir(parents=True)
    shutil.copy(ROOT / "data/local/README.md", target / "data/local/README.md")

"""A copy of this repository in a temporary folder, with a tiny experiment checked out."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

from ferpipe.params.reader import read_yaml

ROOT = Path(__file__).parents[2]
STAGES = ["download", "split", "preprocess", "train", "evaluate"]
# The command `ferpipe`, preferably of the checkout that it runs in.
FERPIPE = "import sys; sys.path.insert(0, 'src'); from ferpipe.tools.cli import main; main()"
# Files in the folders of the outputs that are no outputs; the last has the initial weights.
COMMITTED = (".gitignore", "README.md", "assigned.csv", "drawn.keras")

# Small enough for a whole run in half a minute; every stage does its real work.
TINY = {
    "download": {"sample": {"subjects": 6}},
    "train": {"input_size": 16, "epochs": 2, "batch_size": 16},
    "evaluate": {"figure_dpi": 50},
}


class Checkout:
    """A repository in a folder of its own, and the commands that a user runs in it."""

    def __init__(self, path: Path):
        self.path = path
        home = path.parent / "home"
        home.mkdir(exist_ok=True)
        (home / ".gitconfig").write_text("[user]\n\tname = t\n\temail = t@t.example\n")
        inherited = {
            k: v for k, v in os.environ.items() if not k.startswith(("DVC_", "GIT_", "TF_CPP_"))
        }
        # As after `source .venv/bin/activate`, without this user's configuration of git and DVC.
        self.environment = inherited | {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "HOME": str(home),
            "XDG_CONFIG_HOME": str(home / ".config"),
            "XDG_CACHE_HOME": str(home / ".cache"),
        }

    def start(self, *command, **options):
        """Start a command with further options of Popen; its stderr goes to its stdout."""
        defaults = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }
        return subprocess.Popen(command, cwd=self.path, env=self.environment, **defaults | options)

    def run(self, *command, check=True):
        """Run a command; return what it printed and keep its exit status as `code`."""
        with self.start(*command) as process:
            try:
                output, _ = process.communicate(timeout=300)
            finally:
                process.kill()
        self.code = process.returncode
        assert not check or self.code == 0, f"{command} exited with {self.code}:\n{output}"
        return output

    def dvc(self, *args, check=True):
        return self.run("dvc", *args, check=check)

    def ferpipe(self, *args, check=True):
        return self.run("python", "-c", FERPIPE, *args, check=check)

    def git(self, *args):
        return self.run("git", *args)

    def commit(self, message):
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def stages_run(self, output):
        """The stages that a `dvc repro` printed that it ran."""
        return [
            line.split("'")[1] for line in output.splitlines() if line.startswith("Running stage")
        ]

    def params(self):
        return read_yaml(self.path / "params.yaml")

    def set(self, changes):
        """Change values of params.yaml, as an editor would; comments are lost here."""
        self.write_params(merged(self.params(), changes))

    def write_params(self, values):
        # JSON is YAML 1.2.
        (self.path / "params.yaml").write_text(json.dumps(values))

    def json(self, name):
        return json.loads((self.path / name).read_text())


def merged(values, changes):
    """Nested mappings with some values replaced."""
    return values | {
        key: merged(values[key], value) if isinstance(value, dict) else value
        for key, value in changes.items()
    }


def copy_repository(path: Path, *changes) -> Checkout:
    """Commit a copy of the working tree, without outputs, after these changes of params.yaml."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    for name in filter(None, listed.split("\0")):
        source, target = ROOT / name, path / name
        in_outputs = name.startswith(("data/", "models/", "reports/"))
        is_output = in_outputs and source.name not in COMMITTED
        if source.is_file() and not is_output and source.name != "dvc.lock":
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
    checkout = Checkout(path)
    for change in changes:
        checkout.set(change)
    checkout.git("init", "-q", "-b", "main")
    checkout.commit("tiny")
    return checkout

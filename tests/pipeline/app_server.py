"""`ferpipe app` as a process that reports which addresses it asks for."""

import os
import re
import signal
import subprocess
import sys

# Writes each connection and each name that is resolved to a file; deletes pictures soon.
PROGRAM = """
import sys

def report(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        print(args[event == "socket.connect"], file=asked, flush=True)

asked = open(sys.argv.pop(1), "w")
sys.addaudithook(report)
from ferpipe.tools import cli, serving
serve = serving._serve

def impatient(*args):
    from ferpipe.prediction import app
    app.DELETED = (1, 1)
    serve(*args)

serving._serve = impatient
cli.main()
"""


class Server:
    """A running server; `folder` is for its temporary files."""

    def __init__(self, model, folder):
        self.folder = folder / "temporary"
        self.folder.mkdir()
        self._asked = folder / "asked.txt"
        options = ["app", "--port", "0", "--model", str(model)]
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(self._asked), *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            # Importing TensorFlow here has set the level of its log.
            env={k: v for k, v in os.environ.items() if k != "TF_CPP_MIN_LOG_LEVEL"}
            | {"TMPDIR": str(self.folder)},
            text=True,
        )
        line = self.process.stdout.readline()
        assert "open http" in line, self.process.communicate()
        self.address = re.search(r"http\S+", line)[0]

    def stop(self):
        """Stop it as Ctrl-C does; returns exit code, standard output and error."""
        self.process.send_signal(signal.SIGINT)
        output, errors = self.process.communicate(timeout=60)
        return self.process.returncode, output, errors

    def asked(self):
        """What it connected to and the names that it resolved."""
        return self._asked.read_text().splitlines()

    def close(self):
        self.process.kill()
        self.process.communicate()

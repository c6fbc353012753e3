"""A real S3 server and a real SSH server on this machine, for `dvc push` and `dvc pull`."""

from __future__ import annotations

import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

# DVC with its plugins for S3 and SSH, and rclone; `make test-remotes` installs it.
TOOLS = Path(os.environ.get("REMOTES_VENV", Path(__file__).parents[2] / ".venv-remotes")) / "bin"
USER, PASSWORD = "someone", "a-secret-key"


@dataclass(frozen=True)
class Remote:
    """A server that DVC can push to."""

    commands: list[list[str]]  # of `dvc`, to configure it in a repository
    folder: Path  # where the server stores files
    environment: dict[str, str] = field(default_factory=dict)  # the credentials
    refresh: Callable[[], None] = lambda: None  # makes the server notice changes in its folder

    def objects(self) -> list[Path]:
        """The files that were pushed."""
        return sorted(path for path in self.folder.rglob("*") if path.is_file())


def tool(name: str) -> str:
    """Return the path of a program of `TOOLS`, or skip the test."""
    if not (TOOLS / name).exists():
        pytest.skip(f"{TOOLS / name} is missing: `make test-remotes` installs it")
    return str(TOOLS / name)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextmanager
def running(
    command: list[str], port: int, log: Path, **environment: str
) -> Iterator[subprocess.Popen]:
    """Run a server that listens on a port and writes a log until the block ends."""
    with log.open("wb") as output:
        server = subprocess.Popen(
            command,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    with server:
        try:
            for _ in range(200):
                assert server.poll() is None, log.read_text()
                with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                time.sleep(0.05)
            yield server
        finally:
            server.kill()


@contextmanager
def s3(folder: Path) -> Iterator[Remote]:
    """`rclone serve s3`: each folder below its root is a bucket."""
    bucket = folder / "buckets" / "faces"
    bucket.mkdir(parents=True)
    port = free_port()
    command = [tool("rclone"), "serve", "s3", str(bucket.parent), "--addr", f"127.0.0.1:{port}"]
    keys = {"RCLONE_AUTH_KEY": f'"{USER},{PASSWORD}"', "RCLONE_CONFIG": str(folder / "none")}
    with running(command, port, folder / "log", **keys) as server:
        yield Remote(
            [
                ["remote", "add", "--default", "store", "s3://faces/ferpipe"],
                ["remote", "modify", "store", "endpointurl", f"http://127.0.0.1:{port}"],
                ["remote", "modify", "store", "verify", "true"],
            ],
            bucket,
            {"AWS_ACCESS_KEY_ID": USER, "AWS_SECRET_ACCESS_KEY": PASSWORD},
            refresh=lambda: server.send_signal(signal.SIGHUP),
        )


@contextmanager
def ssh(folder: Path) -> Iterator[Remote]:
    """OpenSSH's server with keys of its own, for the user who runs the tests."""
    path = os.pathsep.join([os.environ["PATH"], "/usr/sbin"])
    sshd, keygen = shutil.which("sshd", path=path), shutil.which("ssh-keygen")
    if not sshd or not keygen:
        pytest.skip("no sshd; Debian's package is openssh-server")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # as Debian's service does
    store = folder / "store"
    store.mkdir()
    for name in ("host", "user"):
        subprocess.run([keygen, "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    port = free_port()
    settings = {
        "ListenAddress": f"127.0.0.1:{port}",
        "HostKey": folder / "host",
        "AuthorizedKeysFile": folder / "user.pub",
        "PasswordAuthentication": "no",
        "UsePAM": "no",
        "StrictModes": "no",  # pytest's folders lie in /tmp
        "PidFile": "none",
        "Subsystem": "sftp internal-sftp",
    }
    lines = [f"{key} {value}\n" for key, value in settings.items()]
    (folder / "sshd_config").write_text("".join(lines), encoding="utf-8")
    with running([sshd, "-D", "-e", "-f", str(folder / "sshd_config")], port, folder / "log"):
        yield Remote(
            [
                ["remote", "add", "--default", "store", f"ssh://127.0.0.1:{port}{store}"],
                ["remote", "modify", "store", "verify", "true"],
                ["remote", "modify", "--local", "store", "user", getpass.getuser()],
                ["remote", "modify", "--local", "store", "keyfile", str(folder / "user")],
            ],
            store,
        )

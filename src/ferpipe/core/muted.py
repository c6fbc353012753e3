"""Suppresses what a native library writes to stderr while it loads, unless the process dies."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# In another process, because after a native abort this one runs nothing. Text that ends in NUL is
# dropped.
_REPLAY = (
    "import sys; text = sys.stdin.buffer.read(); "
    "text.endswith(b'\\0') or sys.stderr.buffer.write(text)"
)
_pipe: int | None = None


@contextmanager
def muted() -> Iterator[None]:
    """Drop what the block writes to file descriptor 2; print it if the block fails.

    It is printed also if the process is aborted, as by TensorFlow on an unsupported processor. Call
    `release` before ending the process on purpose.
    """
    global _pipe
    sys.stderr.flush()
    command = [sys.executable, "-I", "-S", "-c", _REPLAY]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
    ) as watcher:
        stderr = os.dup(2)
        _pipe = watcher.stdin.fileno()
        os.dup2(_pipe, 2)
        try:
            yield
            release()
        finally:
            _pipe = None
            os.dup2(stderr, 2)
            os.close(stderr)
            watcher.stdin.close()
            try:
                watcher.wait(timeout=5)
            except subprocess.TimeoutExpired:  # a child of the block keeps the pipe open
                watcher.kill()


def release() -> None:
    """Drop what was written so far: it is not the reason why this process ends."""
    if _pipe is not None:
        os.write(_pipe, b"\0")

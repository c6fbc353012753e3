"""Dropping what a native library writes to stderr while it loads, unless it dies of that."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# A process of its own, because nothing in this one runs after a native abort. What ends in a NUL
# ended well and is dropped.
_REPLAY = (
    "import sys; text = sys.stdin.buffer.read(); "
    "text.endswith(b'\\0') or sys.stderr.buffer.write(text)"
)
_pipe: int | None = None


@contextmanager
def muted() -> Iterator[None]:
    """Drop what is written to file descriptor 2 in the block; replay it if the block fails.

    That also holds where the process is aborted, as TensorFlow does on a processor that it was not
    built for. Whoever ends the process on purpose calls `release` first.
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
            except subprocess.TimeoutExpired:  # what the block started holds the pipe open
                watcher.kill()


def release() -> None:
    """Let nothing be replayed: what was written so far is not why this process ends."""
    if _pipe is not None:
        os.write(_pipe, b"\0")

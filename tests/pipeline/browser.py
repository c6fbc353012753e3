"""Headless Chromium over its DevTools pipe: what a page shows, requests and logs."""

import base64
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

# Chromium reads commands from file descriptor 3 and answers on 4, each ended by a zero.
EXEC_ON_3_AND_4 = """
import os, sys
commands, answers, *command = sys.argv[1:]
high = [os.dup(os.dup(os.dup(int(number)))) for number in (commands, answers)]
os.dup2(high[0], 3)
os.dup2(high[1], 4)
os.execv(command[0], command)
"""


class Browser:
    """A browser with one page, until `close`.

    Commands and events are those of https://chromedevtools.github.io/devtools-protocol.
    """

    def __init__(self, folder: Path, *options: str):
        program = shutil.which("chromium") or shutil.which("chromium-browser")
        if program is None:
            pytest.skip("no chromium on PATH; Debian's package is `chromium`")
        commands, self.to_browser = os.pipe()
        self.from_browser, answers = os.pipe()
        self.process = subprocess.Popen(
            [
                sys.executable, "-c", EXEC_ON_3_AND_4, str(commands), str(answers),
                program, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic",
                "--no-first-run", "--disable-background-networking", "--disable-component-update",
                "--disable-sync", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}",
                "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                "--remote-debugging-pipe", *options,
            ],
            pass_fds=(commands, answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        os.close(commands)
        os.close(answers)
        self.answers = os.fdopen(self.from_browser, "rb")
        self.pending = b""
        self.count = 0
        self.session = None
        self.requests, self.console = [], []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self.session = attached["sessionId"]
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.send(f"{domain}.enable")

    def send(self, method, **params):
        """Send a command and return its answer; records the events before it."""
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        if self.session:
            message["sessionId"] = self.session
        os.write(self.to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self.count:
                assert "error" not in answer, answer
                return answer["result"]

    def _next(self):
        while b"\0" not in self.pending:
            data = os.read(self.from_browser, 1 << 20)
            assert data, "the browser has ended"
            self.pending += data
        line, _, self.pending = self.pending.partition(b"\0")
        message = json.loads(line)
        params = message.get("params", {})
        match message.get("method"):
            case "Network.requestWillBeSent":
                self.requests.append(params["request"]["url"])
            case "Runtime.consoleAPICalled":
                self.console += [str(arg.get("value")) for arg in params["args"]]
            case "Runtime.exceptionThrown":
                self.console.append(params["exceptionDetails"]["text"])
            case "Log.entryAdded":
                self.console.append(params["entry"]["text"])
        return message

    def open(self, page, width=1200, height=900, dark=False, media="screen"):
        """Open a file or address on a screen of this size and colour scheme; wait until loaded."""
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.send("Emulation.setDeviceMetricsOverride", **size)
        self.send("Emulation.setEmulatedMedia", media=media, features=[scheme])
        self.requests.clear()
        self.console.clear()
        self.send("Page.navigate", url=page.as_uri() if isinstance(page, Path) else page)
        while self._next().get("method") != "Page.loadEventFired":
            pass

    def run(self, script):
        """Return the value of a JavaScript expression."""
        answer = self.send("Runtime.evaluate", expression=script, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_until(self, script, seconds=60):
        """Wait until a JavaScript expression is true."""
        end = time.monotonic() + seconds
        while not self.run(script):
            assert time.monotonic() < end, f"not within {seconds} s: {script}"
            time.sleep(0.05)

    def upload(self, selector, path):
        """Choose a file in an `<input type=file>`."""
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def screenshot(self):
        """Return what the screen shows: the bytes of a PNG."""
        return base64.b64decode(self.send("Page.captureScreenshot")["data"])

    def pdf(self):
        """Return the page as it prints: the bytes of a PDF."""
        return base64.b64decode(self.send("Page.printToPDF", printBackground=True)["data"])

    def close(self):
        self.session = None
        os.write(self.to_browser, b'{"id": 0, "method": "Browser.close"}\0')
        self.process.wait(timeout=30)
        os.close(self.to_browser)
        self.answers.close()

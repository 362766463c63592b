"""A headless Chromium, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import io
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.request import urlopen

import matplotlib.image
from websockets.sync.client import connect

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--ignore-gpu-blocklist",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


def button(name: str) -> str:
    """JavaScript for the button of that name."""
    return f"[...document.querySelectorAll('button')].find(b => b.textContent.trim() === '{name}')"


def dark_share(png: bytes) -> float:
    """Share of dark pixels in the left half of the picture, where the robot is and the floor is light."""
    picture = matplotlib.image.imread(io.BytesIO(png), format="png")[..., :3]
    return float((picture[:, : picture.shape[1] // 2].max(axis=2) < 0.45).mean())


class Page:
    """One page; use as a context manager."""

    def __init__(self, url: str, profile: Path) -> None:
        assert BINARY is not None
        command = [BINARY, *FLAGS, "--remote-debugging-port=0", f"--user-data-dir={profile}", "--window-size=900,600", url]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        port_file = profile / "DevToolsActivePort"
        assert self.wait(port_file.exists), "Chromium did not start"
        port = port_file.read_text().split()[0]
        with urlopen(f"http://127.0.0.1:{port}/json") as answer:
            page = next(target for target in json.load(answer) if target["type"] == "page")
        self._socket = connect(page["webSocketDebuggerUrl"], max_size=None)
        self._count = 0

    def call(self, method: str, **parameters: Any) -> Any:
        """Call a DevTools method and return its result."""
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=60))
            if answer.get("id") == self._count:
                return answer["result"]

    def evaluate(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return self.call("Runtime.evaluate", expression=script, returnByValue=True)["result"].get("value")

    def picture(self) -> bytes:
        """The page as PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def wait(self, condition: Callable[[], Any], seconds: float = 60.0) -> bool:
        """Wait until a condition holds, or the time is over; returns whether it holds."""
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                return False
            time.sleep(0.2)
        return True

    def __enter__(self) -> Page:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()
        self._process.terminate()
        self._process.wait(20)

"""Shows an address in the browser as soon as it answers: `python -m cinegen_core.opening HOST PORT`."""

from __future__ import annotations

import os
import socket
import sys
import time
import webbrowser
from collections.abc import Callable, Mapping

PATIENCE = 120.0
"""Seconds to wait for the studio to answer: it reads what is recorded first."""


def has_screen(platform: str, environ: Mapping[str, str]) -> bool:
    """Whether there is somebody here to look at a browser window."""
    if environ.get("CI"):
        return False
    return platform in ("darwin", "win32") or bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


def answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def open_when_ready(
    host: str,
    port: int,
    *,
    ready: Callable[[str, int], bool] = answers,
    show: Callable[[str], object] = webbrowser.open,
    clock: Callable[[], float] = time.monotonic,
    rest: Callable[[float], None] = time.sleep,
) -> bool:
    """Opens the address once it answers; False if it does not within `PATIENCE` seconds."""
    end = clock() + PATIENCE
    while clock() < end:
        if ready(host, port):
            show(f"http://{host}:{port}")
            return True
        rest(0.2)
    return False


if __name__ == "__main__":
    sys.exit(not open_when_ready(sys.argv[1], int(sys.argv[2])) and has_screen(sys.platform, os.environ))

"""Makes the calls of episodes in one way: `python -m benchmarks.tiers_process WAY CALLS`.

CALLS is a file of the calls to make, as `benchmarks.tiers` has recorded them of the studio. The process says when it is ready;
for each line on standard input, a `Task` in JSON, it does that and prints what it took (`Took`). It reaches no other computer
than this one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.tiers_clients import WAYS, Task, Took, by, read_calls


def _stay_here(event: str, arguments: tuple[Any, ...]) -> None:
    """Whatever a library would like to tell its makers, it does not from here."""
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1":
        raise ConnectionRefusedError(f"{arguments[1]} is another computer")
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", "localhost", None):
        raise ConnectionRefusedError(f"{arguments[0]} is another computer")


async def _work(way: str, calls: Path, task: Task, took: Took) -> None:
    if way in WAYS:
        await by(WAYS[way], read_calls(calls, task.episodes), task, took)
        return
    from benchmarks.tiers_studio import by_the_studio, from_the_cache

    if way == "kept":
        await from_the_cache(took)
    else:
        await by_the_studio(task, took, thinks=way == "studio")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("way", choices=("studio", "studio, not thinking", "kept", *WAYS))
    parser.add_argument("calls", type=Path)
    options = parser.parse_args()
    sys.addaudithook(_stay_here)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        task, took = Task(**json.loads(line)), Took()
        asyncio.run(_work(options.way, options.calls, task, took))
        print(json.dumps(asdict(took)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())

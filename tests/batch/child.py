"""A batch in a process of its own, which stands still once the first episode has landed: `python -m tests.batch.child FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from cinegen_core.batch import landing
from tests.batch.batches import a_desk


def main(folder: Path) -> None:
    land = landing.land

    def and_wait(*arguments: Any) -> None:
        land(*arguments)
        print("landed", flush=True)  # noqa: T201 (whoever started it reads along)
        sys.stdin.readline()

    landing.land = and_wait  # type: ignore[assignment]
    landing.GROUP = 1
    a_desk(folder).run((folder / "plan.toml").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""A batch in a process of its own, which says after each step how many episodes are in the store: `python -m tests.batch.child FOLDER`."""

from __future__ import annotations

import sys
from pathlib import Path

from sqlalchemy import func, select

from cinegen_core.batch.running import Progress
from cinegen_core.store.sql_episodes import EPISODES
from cinegen_core.studio import open_database
from tests.batch.batches import a_desk


def main(folder: Path) -> None:
    desk = a_desk(folder)
    with open_database(desk.settings) as database:

        def told(progress: Progress) -> None:
            with database.reading() as connection:
                kept = connection.scalar(select(func.count()).select_from(EPISODES))
            print(kept, flush=True)  # noqa: T201 (whoever started it reads along)

        desk.run((folder / "plan.toml").read_text(encoding="utf-8"), told=told)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

"""Whoever runs a studio takes all of it away in one file and puts it back elsewhere, and people there are known again."""

from __future__ import annotations

import stat
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from cinegen_core.cli_store import add_store
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.backup import open_backup
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, sqlite_url
from tests.store.killed_writer import START, events_of


class Operator:
    """Somebody at a command line, with a data folder."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(data_dir=folder, **settings)
        app = typer.Typer()
        add_store(app, lambda: self.settings, StoppedClock())
        self._app = app

    def __call__(self, *arguments: str | Path, code: int = 0) -> str:
        result = CliRunner().invoke(self._app, list(map(str, arguments)))
        if isinstance(result.exception, StoreError):
            assert code == 1, result.exception
            return str(result.exception)
        assert result.exit_code == code, result.output
        return result.output


class StoppedClock:
    def monotonic(self) -> float:
        return 0.0

    def now(self) -> datetime:
        return START


@pytest.fixture
def ada(tmp_path: Path) -> Operator:
    """Her studio has run for a while."""
    ada = Operator(tmp_path / "ada")
    ada.settings.with_install_id()
    (tmp_path / "ada" / "operator").write_text("Ada Łódź\n", encoding="utf-8")
    with Database(sqlite_url(tmp_path / "ada" / "cinegen.db")) as database:
        SqlEvents(database).add(*events_of(1))
    return ada


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_studio_moves_with_who_it_is_and_both_files_are_for_their_owner_only(
    ada: Operator, tmp_path: Path
) -> None:
    file = tmp_path / "b.zip"
    said = ada("backup", file)
    assert "0 seasons, 0 episodes, 6 events" in said
    assert "2026-01-05 10:00 UTC" in said
    assert mode(file) == 0o600
    assert "is whole. It holds" in ada("backup", "--check", file)
    assert "is there already" in ada("backup", file, code=1)
    new = Operator(tmp_path / "new")
    assert "count as somebody new" not in new("restore", file)
    id = (tmp_path / "ada" / "install-id").read_text()
    assert (tmp_path / "new" / "install-id").read_text() == id
    assert mode(tmp_path / "new" / "install-id") == 0o600
    assert (tmp_path / "new" / "operator").read_text(encoding="utf-8") == "Ada Łódź\n"
    assert id.strip() not in said
    assert "is not empty" in new("restore", file, code=1)


def test_where_two_ids_meet_somebody_says_which_one_stays(ada: Operator, tmp_path: Path) -> None:
    file = tmp_path / "b.zip"
    ada("backup", file)
    hers = (tmp_path / "ada" / "install-id").read_text()
    for name, choice in (("other", "backup"), ("replica", "here")):
        new = Operator(tmp_path / name)
        own = new.settings.with_install_id().install_id + "\n"
        words = new("restore", file, code=1)
        assert "--install-id backup" in words
        assert not (tmp_path / name / "cinegen.db").exists()
        said = new("restore", "--install-id", choice, file)
        kept = (tmp_path / name / "install-id").read_text()
        if choice == "backup":
            assert (kept, (tmp_path / name / "install-id.before").read_text()) == (hers, own)
            assert "count as somebody new" not in said
        else:
            assert kept == own
            assert "Set CINEGEN_USER_KEY to the install_id of the backup" in said
    keyed = Operator(tmp_path / "keyed", user_key=hers.strip())
    assert "count as somebody new" not in keyed("restore", "--install-id", "here", file)
    fixed = Operator(tmp_path / "fixed", install_id="of-its-own")
    assert "CINEGEN_INSTALL_ID is set to another id" in fixed("restore", file, code=1)


def test_the_key_of_users_is_not_in_the_backup_but_another_one_is_noticed(tmp_path: Path) -> None:
    url = sqlite_url(tmp_path / "cinegen.db")
    with Database(url) as database:
        SqlEvents(database).add(*events_of(1))
    file, secret = tmp_path / "b.zip", "a-long-random-key"
    Operator(tmp_path, user_key=secret)("backup", file)
    with open_backup(file) as backup:
        assert backup.identity.keyed_by == "user_key"
        assert secret not in backup.identity.model_dump_json()
    said = Operator(tmp_path / "new", user_key="another")("restore", file)
    assert "Set CINEGEN_USER_KEY to what it was" in said


def test_a_backup_of_nothing_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    nobody = Operator(tmp_path / "nobody")
    assert "There is no database at" in nobody("backup", tmp_path / "b.zip", code=1)
    assert list(tmp_path.iterdir()) == []
    lost = Operator(tmp_path / "lost", database_url=sqlite_url(tmp_path / "kept.db"))
    with Database(sqlite_url(tmp_path / "kept.db")):
        pass
    assert "There is no id of an installation" in lost("backup", tmp_path / "b.zip")
    assert "Name a folder that exists" in lost("backup", tmp_path / "none" / "b.zip", code=1)

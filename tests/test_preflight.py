"""Before a studio goes to work its operator learns, check by check, what is in order, what is not, and what to do about it."""

from __future__ import annotations

import asyncio
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from pydantic import SecretStr
from sqlalchemy import insert
from starlette.applications import Starlette
from starlette.routing import Mount

from cinegen_core.api import api_app
from cinegen_core.flags.control import Flags
from cinegen_core.preflight import Check, Preflight, keep, last_preflight, preflight
from cinegen_core.settings import Settings
from cinegen_core.store import StoreError
from cinegen_core.store.migrations import SCHEMA_VERSION
from cinegen_core.store.sql import Database, SqlJournal, sqlite_url
from cinegen_core.studio import open_studio
from cinegen_core.writers.model import Provider
from tests.fakes import FakeClock
from tests.model.faults import always, refused_port
from tests.model.server import ModelServer
from tests.notify.receiver import Receiver

DECLARED = Path(__file__).parents[1] / "flags.toml"
KEY = "test-key-4f1c9a77d2"


class Room:
    """An installation in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.data, self.flags = folder / "data", folder / "flags.toml"
        shutil.copy(DECLARED, self.flags)

    def settings(self, **changes: Any) -> Settings:
        values = {"data_dir": self.data, "flags_file": self.flags, "install_id": "one", **changes}
        return Settings.model_validate(values)

    async def gone(self, *only: str, settings: dict[str, Any] | None = None, **more: Any) -> Preflight:
        values: dict[str, Any] = {"environ": {}, **more}
        return await preflight(self.settings(**settings or {}), only=only, **values)

    async def check(self, name: str, **more: Any) -> Check:
        return (await self.gone(name, **more)).checks[0]

    @contextmanager
    def changing(self) -> Iterator[Flags]:
        self.data.mkdir(exist_ok=True)
        with Database(sqlite_url(self.data / "cinegen.db")) as database:
            yield Flags(self.flags, SqlJournal(database), now=FakeClock().now, on_problem=pytest.fail)

    def edit(self, old: str, new: str) -> None:
        text = self.flags.read_text(encoding="utf-8")
        assert old in text
        self.flags.write_text(text.replace(old, new), encoding="utf-8")


@pytest.fixture
def room(tmp_path: Path) -> Room:
    return Room(tmp_path)


async def test_a_fresh_installation_is_in_order_but_for_nobody_being_told_of_alerts(room: Room) -> None:
    report = await room.gone()
    assert [(check.key, check.verdict) for check in report.checks] == [
        ("settings", "ok"), ("data", "ok"), ("store", "ok"), ("flags", "ok"), ("journal", "ok"), ("model", "ok"), ("http", "ok"),
        ("tier:comprehensive", "ok"), ("tier:enhanced_baseline", "ok"), ("tier:basic_fallback", "ok"), ("notifications", "warning"),
    ]  # fmt: skip
    assert report.verdict == "warning"
    seen = {check.key: check.seen for check in report.checks}
    assert "6 of 6 endpoints" in seen["http"]
    assert "engines delivered" in seen["tier:comprehensive"]
    assert "scored" in seen["tier:enhanced_baseline"]
    assert "the embedded writer writes" in seen["model"]


async def test_the_episodes_of_a_preflight_are_in_no_record(room: Room) -> None:
    await room.gone("tier", "http")
    with open_studio(room.settings()) as studio:
        assert studio.monitoring is not None
        assert studio.monitoring.events() == ()
        assert studio.monitoring.figures().total_episodes == 0
        assert studio.store.seasons() == ()
        assert studio.results_size()[0] == 0


async def test_a_variable_that_means_nothing_is_named_with_what_was_probably_meant(room: Room) -> None:
    found = await room.check("settings", environ={"CINEGEN_MODLE": "x", "CINEGEN_PORT": "8501", "HOME": "/"})
    assert found.verdict == "warning"
    assert "CINEGEN_MODLE is no setting; did you mean CINEGEN_MODEL?" in found.seen
    assert "CINEGEN_PORT" not in found.seen


async def test_the_variable_of_a_providers_key_is_no_mistake(room: Room) -> None:
    provider = Provider(name="near", model="m", key_env="CINEGEN_NEAR_KEY", key=SecretStr(KEY))
    environ = {"CINEGEN_NEAR_KEY": KEY, "CINEGEN_PROVIDERS": "providers.toml"}
    found = await room.check("settings", settings={"providers": (provider,)}, environ=environ)
    assert found.verdict == "ok"


async def test_a_data_folder_that_cannot_be_written_to_fails_and_the_rest_goes_on(room: Room) -> None:
    room.data.write_text("in the way", encoding="utf-8")
    report = await room.gone("data", "store", "flags")
    assert [check.verdict for check in report.checks] == ["failed", "failed", "ok"]
    assert "CINEGEN_DATA_DIR" in report.checks[0].todo


@pytest.mark.parametrize(
    ("free", "verdict"), [(80_000_000_000, "ok"), (900_000_000, "warning"), (40_000_000, "failed")]
)
async def test_a_disk_that_is_nearly_full_is_seen_in_time(room: Room, free: int, verdict: str) -> None:
    assert (await room.check("data", free=lambda folder: free)).verdict == verdict


async def test_a_database_of_a_newer_version_is_refused_in_words(room: Room) -> None:
    room.data.mkdir()
    with Database(sqlite_url(room.data / "cinegen.db")) as database, database.writing() as connection:
        connection.execute(insert(SCHEMA_VERSION).values(version=999, what="of the future"))
    found = await room.check("store")
    assert found.verdict == "failed"
    assert found.seen.startswith("The database is of a newer version")


async def test_a_database_that_cannot_be_reached_fails_without_showing_its_password(room: Room) -> None:
    url = f"postgresql+psycopg://ada:topsecret@127.0.0.1:{refused_port()}/cinegen"
    report = await room.gone("store", settings={"database_url": url})
    assert report.verdict == "failed"
    assert "topsecret" not in report.model_dump_json()


async def test_a_flags_file_with_a_mistake_is_named_with_its_line(room: Room) -> None:
    room.edit("rollout = 90", "rollout = 900")
    found = await room.check("flags")
    assert found.verdict == "failed"
    line = room.flags.read_text(encoding="utf-8").split("\n").index("rollout = 900") + 1
    assert f"flags.toml:{line}:" in found.seen


async def test_a_flag_that_generation_needs_and_nobody_declared_is_named(room: Room) -> None:
    room.edit("[flags.high_temperature]", "[flags.hot]")
    found = await room.check("flags")
    assert found.verdict == "warning"
    assert "high_temperature is not declared, so it counts as off." in found.seen


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("percent = 100", "percent = 90", "it ends at 90 %"),
        ("quality = 8.0", "quality = 6.5", "phase 1 lets through quality 6.5, which quality_degradation would roll back"),
        ("errors = 0.05", "errors = 0.5", "phase 1 lets through error 0.5, which error_rate_spike would roll back"),
        ('flags = ["comprehensive_engines", "genre_engines", "beta_features"]', 'flags = ["beta_features"]',
         "no trigger watches comprehensive_engines"),
        ("dwell_hours = 72", "dwell_hours = 72\nsamples = 0", "phase 2 can be passed without a single episode"),
    ],
)  # fmt: skip
async def test_a_rollout_without_safe_gates_is_pointed_out(
    room: Room, old: str, new: str, words: str
) -> None:
    room.edit(old, new)
    found = await room.check("flags")
    assert (found.verdict, words in found.seen) == ("warning", True), found.seen


async def test_what_is_held_back_at_run_time_is_named_with_how_to_lift_it(room: Room) -> None:
    with room.changing() as flags:
        flags.set("genre_engines", None, 50, who="Ada", why="slower")
        flags.start_rollout("comprehensive_engines_rollout", who="Ada", why="week five")
        flags.pause_rollout("comprehensive_engines_rollout", who="Ada", why="lunch")
        flags.rollback("beta_features", who="Ada", why="it repeats itself")
        flags.emergency(who="Ada", why="nonsense")
    found = await room.check("journal")
    assert found.verdict == "warning"
    for words in (
        "Emergency since", "nonsense", "beta_features is rolled back: it repeats itself",
        "comprehensive_engines_rollout is paused in phase 1: lunch", "genre_engines.rollout 90 -> 50",
    ):  # fmt: skip
        assert words in found.seen
    for command in ("emergency off", "rearm beta_features", "rollout resume", "fold-back"):
        assert f"`cinegen flags {command}" in found.todo


def near(server: ModelServer, **changes: Any) -> dict[str, Any]:
    values = {"name": "near", "base_url": server.base_url, "model": "m", "key": SecretStr(KEY), **changes}
    return {"providers": (Provider.model_validate(values),)}


async def test_a_model_that_answers_is_asked_for_next_to_nothing(room: Room) -> None:
    with ModelServer() as server:
        found = await room.check("model", settings=near(server))
        assert found.verdict == "ok"
        assert found.key == "model:near"
        [(headers, body)] = server.requests
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["max_tokens"] <= 16
    assert KEY not in found.model_dump_json()


@pytest.mark.parametrize(
    ("fault", "verdict", "words"),
    [
        ("echo_key", "failed", "did not accept the key"),
        ("unavailable", "failed", "it failed (503)"),
        ("reset", "failed", "could not be reached"),
        ("not_json_body", "failed", "no completion"),
        ("rate_limited", "warning", "asked too much"),
    ],
)
async def test_a_model_that_does_not_answer_is_named_with_what_is_wrong_and_never_its_key(
    room: Room, fault: Any, verdict: str, words: str
) -> None:
    with ModelServer(plan=always(fault)) as server:
        found = await room.check("model", settings=near(server))
    assert found.verdict == verdict
    assert words in found.seen
    assert found.todo
    assert KEY not in found.model_dump_json()


async def test_a_model_that_never_answers_fails_in_its_own_time(room: Room) -> None:
    with ModelServer(plan=always("stall_before")) as server:
        hasty = near(server, connect=0.1, first_token=0.1, reply=0.1)
        found = await room.check("model", settings=hasty, limit=0.1)
    assert found.verdict == "failed"


class Serving(uvicorn.Server):
    """Says when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """A studio's HTTP interface on a real port."""
    with open_studio(settings) as studio:
        assert studio.monitoring is not None
        api = api_app(studio, studio.monitoring, token="")
        app = Starlette(routes=[Mount("/api", app=api), Mount("", app=api)])
        server = Serving(uvicorn.Config(app, port=0, log_level="error", lifespan="off"))
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            assert server.ready.wait(30)
            port = server.servers[0].sockets[0].getsockname()[1]
            yield f"http://127.0.0.1:{port}"
        finally:
            server.should_exit = True
            thread.join()


async def test_a_running_studio_is_asked_at_its_address(room: Room) -> None:
    with serving(room.settings()) as url:
        found = await room.check("http", url=url + "/")
    assert (found.verdict, "6 of 6" in found.seen) == ("ok", True), found.seen


async def test_where_no_studio_runs_every_endpoint_fails(room: Room) -> None:
    found = await room.check("http", url=f"http://127.0.0.1:{refused_port()}")
    assert found.verdict == "failed"
    assert "0 of 6" in found.seen


async def test_what_is_no_studio_is_not_taken_for_one(room: Room) -> None:
    with ModelServer() as server:
        found = await room.check("http", url=server.base_url)
    assert found.verdict == "failed"


async def test_a_trial_notice_is_sent_only_when_it_is_asked_for(room: Room) -> None:
    with Receiver() as receiver:
        told = {"webhook_url": receiver.url, "webhook_secret": "shared between two"}
        quiet = await room.check("notifications", settings=told)
        assert (quiet.verdict, receiver.told) == ("ok", [])
        sent = await room.check("notifications", settings=told, notify=True)
        assert (sent.verdict, [notice["trial"] for notice in receiver.told]) == ("ok", [True])
        receiver.otherwise = 500
        failed = await room.check("notifications", settings=told, notify=True)
        assert failed.verdict == "failed"
        unsigned = await room.check("notifications", settings={"webhook_url": receiver.url})
    assert (unsigned.verdict, "CINEGEN_WEBHOOK_SECRET" in unsigned.todo) == ("warning", True)
    assert "hidden" not in quiet.seen + sent.seen + failed.seen


async def test_an_address_for_notices_that_is_none_fails_in_words(room: Room) -> None:
    found = await room.check("notifications", settings={"webhook_url": "nowhere"})
    assert found.verdict == "failed"
    assert "CINEGEN_WEBHOOK_URL" in found.seen


async def test_a_check_that_crashes_is_reported_with_its_error_and_the_rest_goes_on(room: Room) -> None:
    def broken(folder: Path) -> int:
        raise RuntimeError("no such device")

    heard: list[str] = []
    report = await room.gone("data", "flags", free=broken, on_check=lambda check: heard.append(check.key))
    assert report.checks[0].seen == "RuntimeError: no such device"
    assert [check.verdict for check in report.checks] == ["failed", "ok"]
    assert heard == ["data", "flags"]


@pytest.fixture
def stuck() -> Iterator[Callable[[Path], int]]:
    """A disk that answers nobody until the test is over."""
    over = threading.Event()

    def waits(folder: Path) -> int:
        over.wait()
        return 0

    yield waits
    over.set()


async def test_a_check_that_hangs_fails_when_its_time_is_over(
    room: Room, stuck: Callable[[Path], int]
) -> None:
    found = await room.check("data", free=stuck, limit=0.05)
    assert (found.verdict, found.seen) == ("failed", "It did not end within 0.05 s.")


async def test_the_list_can_be_cancelled_while_a_check_hangs(
    room: Room, stuck: Callable[[Path], int]
) -> None:
    begun = asyncio.Event()
    task = asyncio.create_task(
        room.gone("settings", "data", free=stuck, on_check=lambda check: begun.set(), limit=600.0)
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_checks_are_chosen_by_name(room: Room) -> None:
    report = await room.gone("flags", "tier:basic_fallback")
    assert [check.key for check in report.checks] == ["flags", "tier:basic_fallback"]
    with pytest.raises(ValueError, match="There is no check 'flag'"):
        await room.gone("flag")


async def test_the_last_report_is_kept(room: Room) -> None:
    assert last_preflight(room.data) is None
    report = await room.gone("settings")
    keep(report, room.data)
    assert last_preflight(room.data) == report
    (room.data / "preflight.json").write_text("{", encoding="utf-8")
    with pytest.raises(StoreError, match="Run `cinegen preflight` again"):
        last_preflight(room.data)

"""The studio opens itself in the browser, where there is one."""

from __future__ import annotations

import pytest

from cinegen_core.opening import PATIENCE, has_screen, open_when_ready


@pytest.mark.parametrize(
    ("platform", "environ", "screen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"DISPLAY": ":0", "CI": "true"}, False),
        ("darwin", {}, True),
    ],
)
def test_a_browser_is_opened_only_where_somebody_can_see_it(
    platform: str, environ: dict[str, str], screen: bool
) -> None:
    assert has_screen(platform, environ) is screen


def test_it_waits_until_the_studio_answers() -> None:
    shown: list[str] = []
    answers = iter([False, False, True])
    ticks = iter(range(100))
    done = open_when_ready(
        "127.0.0.1",
        8501,
        ready=lambda host, port: next(answers),
        show=shown.append,
        clock=lambda: float(next(ticks)),
        rest=lambda seconds: None,
    )
    assert done
    assert shown == ["http://127.0.0.1:8501"]


def test_it_gives_up_on_a_studio_that_does_not_start() -> None:
    ticks = iter(range(1000))
    shown: list[str] = []
    done = open_when_ready(
        "127.0.0.1",
        8501,
        ready=lambda host, port: False,
        show=shown.append,
        clock=lambda: float(next(ticks)),
        rest=lambda seconds: None,
    )
    assert not done
    assert not shown
    assert next(ticks) >= PATIENCE

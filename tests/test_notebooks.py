"""Notebooks are kept as they were run: every code cell, in order, without an error, with the answer in words at the end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

BOOKS = sorted((Path(__file__).parents[1] / "notebooks").glob("*.ipynb"))


def cells(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return found


def test_all_five_are_there() -> None:
    names = {"quality_trends", "threshold_tuning", "engine_ablation", "scorer_validation", "tier_comparison"}
    assert {path.stem for path in BOOKS} == names


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_every_code_cell_was_run_in_order(path: Path) -> None:
    code = [cell for cell in cells(path) if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    assert not [out for cell in code for out in cell["outputs"] if out["output_type"] == "error"]


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_it_opens_with_a_question_and_ends_with_an_answer_computed_from_the_data(path: Path) -> None:
    first, *rest = cells(path)
    assert first["cell_type"] == "markdown"
    assert "?" in "".join(first["source"])
    answer = [cell for cell in rest if cell["cell_type"] == "code"][-1]
    said = "".join("".join(out.get("text", ())) for out in answer["outputs"])
    assert len(said.split()) > 20, "the last code cell says the answer in words"


@pytest.mark.parametrize("path", BOOKS, ids=lambda path: path.stem)
def test_nothing_of_the_machine_it_was_run_on_is_in_it(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for trace in ("/home/", "/root/", "/Users/", "/work/", "site-packages"):
        assert trace not in text

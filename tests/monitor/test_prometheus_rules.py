"""The studio's alert rules, given to Prometheus."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from cinegen_core.monitor.alerts import RULES, Rule
from cinegen_core.monitor.prometheus_rules import alert_name, counters, export


def parsed() -> dict[str, dict[str, Any]]:
    (group,) = yaml.safe_load(export(RULES))["groups"]
    return {entry["labels"]["rule"]: entry for entry in group["rules"]}


def test_every_rule_of_the_studio_is_there_once_with_its_severity() -> None:
    entries = parsed()
    assert list(entries) == [rule.key for rule in RULES]
    assert [entry["labels"]["severity"] for entry in entries.values()] == [rule.severity for rule in RULES]
    assert len({entry["alert"] for entry in entries.values()}) == len(RULES)
    assert {entry["for"] for entry in entries.values()} == {"0m"}
    assert all(set(entry) == {"alert", "expr", "for", "labels", "annotations"} for entry in entries.values())


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_a_rule_is_its_mean_over_its_window_against_its_threshold(rule: Rule) -> None:
    expression = parsed()[rule.key]["expr"]
    windows = {amount + unit for amount, unit in re.findall(r"\[(\d+)([mh])\]", expression)}
    (window,) = windows
    assert int(window[:-1]) * {"m": 1, "h": 60}[window[-1]] == rule.minutes
    mean, sign, threshold = re.search(r"(sum\(.+?\) / sum\(.+?\)\)) ([<>]) ([\d.]+)", expression).groups()  # type: ignore[union-attr]
    assert mean.count("increase(") == 2
    assert (sign, float(threshold)) == ("<" if rule.comparison == "below" else ">", rule.threshold)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.key)
def test_all_but_uptime_need_twenty_requests_and_keep_firing_without_them(rule: Rule) -> None:
    expression = parsed()[rule.key]["expr"]
    guarded = rule.metric != "uptime"
    assert (">= 20" in expression) is guarded
    assert ("< 20 and" in expression) is guarded
    assert (f'ALERTS{{alertname="{alert_name(rule)}",alertstate="firing"}}' in expression) is guarded


def test_the_rules_read_only_the_counters_that_the_exporter_is_told_of_and_only_live_ones() -> None:
    selectors = {
        match
        for entry in parsed().values()
        for match in re.findall(r"increase\((\w+)(\{[^}]*\})", entry["expr"])
    }
    assert {name for name, _ in selectors} == set(counters())
    assert {labels for _, labels in selectors} == {'{series="live"}'}


@pytest.mark.parametrize("entry", parsed().values(), ids=parsed())
def test_parentheses_and_braces_are_closed(entry: dict[str, Any]) -> None:
    open_: list[str] = []
    for char in entry["expr"]:
        if char in "([{":
            open_.append(char)
        elif char in ")]}":
            assert open_.pop() + char in ("()", "[]", "{}")
    assert not open_


def test_the_export_is_read_back_the_same_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "rules.yaml"
    file.write_text(export(), encoding="utf-8")
    assert yaml.safe_load(file.read_text(encoding="utf-8")) == yaml.safe_load(export(RULES))

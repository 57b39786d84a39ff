"""A bible in any of its forms is taken; what is wrong with one is said so that its author can mend it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.story import StoryBible
from cinegen_core.story.errors import StoryError
from cinegen_core.story.formats import from_json, to_json
from cinegen_core.story.load import bible_from_text, load_bible, load_sample, load_state, sample_names
from cinegen_core.story.source import Format, parse, sniff
from tests.builders import SMALLEST_BIBLE, a_bible, an_episode

AS_JSON = json.dumps(a_bible().model_dump(include={"title", "premise", "characters"}), indent=1)
AS_TOML = """\
title = "Slack Water"
premise = "A harbour pilot comes home to find out who let her father drown."

[[characters]]
name = "Marit Vold"
want = "to see the November log"

[[characters]]
name = "Ansel Roe"
want = "to keep the station open"
"""
GUIDE = """{
  "seriesTitle": "Slack Water",
  "premise": "A pilot comes home.",
  "mainCharacters": [
    {"name": "Marit Vold", "role": "pilot", "motivation": "to see the log", "flaws": ["stubborn", "proud"],
     "relationships": [{"character": "Ansel Roe", "type": "godfather"}]},
    {"name": "Ansel Roe", "goal": "to keep the station",
     "relationships": {"Marit Vold": {"nature": "godchild", "tension": "she asks"}}}
  ],
  "worldBuilding": {"setting": "a harbour", "timePeriod": "1958", "rules": ["Nothing crosses at low water."],
                    "culture": "church on Sundays", "locations": ["the quay", {"name": "the chapel", "description": "cold"}]},
  "narrativeElements": {"themes": ["truth", "mercy"], "genres": ["mystery"], "tone": "dry", "motifs": ["the clock"],
                        "arcs": ["The log"], "threads": [{"question": "Who cut the page?"}]}
}"""


def problems(text: str, format: Format | None = None) -> list[str]:
    with pytest.raises(StoryError) as caught:
        load_bible(text, format, name="b")
    return str(caught.value).split("\n")


@pytest.mark.parametrize("text", [SMALLEST_BIBLE, AS_JSON, AS_TOML], ids=["yaml", "json", "toml"])
def test_the_same_small_bible_is_accepted_in_every_format(text: str) -> None:
    assert load_bible(text) == a_bible()


@pytest.mark.parametrize(
    ("ending", "text"), [(".yaml", SMALLEST_BIBLE), (".json", AS_JSON), (".toml", AS_TOML)]
)
def test_a_bible_is_read_from_a_file(tmp_path: Path, ending: str, text: str) -> None:
    file = tmp_path / f"slack{ending}"
    file.write_text(text, encoding="utf-8-sig")
    assert load_bible(file) == load_bible(str(file)) == a_bible()


def test_the_guides_json_is_understood_key_by_key() -> None:
    bible = load_bible(GUIDE)
    assert bible.title == "Slack Water"
    marit, ansel = bible.characters
    assert (marit.want, marit.flaw, marit.relationships) == (
        "to see the log",
        "stubborn; proud",
        {"Ansel Roe": "godfather"},
    )
    assert (ansel.want, ansel.relationships) == ("to keep the station", {"Marit Vold": "godchild; she asks"})
    assert (bible.world.setting, bible.world.period, bible.world.culture) == (
        "a harbour",
        "1958",
        "church on Sundays",
    )
    assert bible.world.rules == ("Nothing crosses at low water.",)
    assert [(place.name, place.look) for place in bible.locations] == [
        ("the quay", ""),
        ("the chapel", "cold"),
    ]
    assert (bible.theme, bible.genres, bible.tone, bible.motifs) == (
        "truth; mercy",
        ("mystery",),
        "dry",
        ("the clock",),
    )
    assert (bible.arcs[0].title, bible.threads) == ("The log", ("Who cut the page?",))


def test_words_that_yaml_would_turn_into_other_things_stay_words() -> None:
    bible = load_bible(
        SMALLEST_BIBLE.replace("name: Marit Vold", "name: No").replace("premise: A", "premise: 12:30 A")
    )
    assert bible.characters[0].name == "No"
    assert bible.premise.startswith("12:30")


MISTAKES: list[tuple[str, str]] = [
    (
        SMALLEST_BIBLE.replace("    want: to see the November log\n", ""),
        "b, line 4: characters[0].want: is missing; at least two characters need a `want`; without it nothing is at stake "
        "between them. Write what Marit Vold is after: `want: ...`.",
    ),
    (
        SMALLEST_BIBLE.replace("name: Ansel Roe", "name: marit vold"),
        "b, line 6: characters[1].name: two characters are called 'marit vold'; give each a name of their own.",
    ),
    (
        SMALLEST_BIBLE.replace("want: to keep", "wnat: to keep"),
        "b, line 7: characters[1].wnat: is not a key that is known here. Did you mean `want`?",
    ),
    (
        SMALLEST_BIBLE + "title: Again\n",
        "b, line 8: title: this key was already given on line 1. Keep one of the two.",
    ),
    (SMALLEST_BIBLE + "series: Again\n", "b, line 8: series: says the same as title. Keep one of the two."),
    (
        SMALLEST_BIBLE + "tone: [a, {b: c}]\n",
        "b, line 8: tone: should be text, but is a list. Write one text; put it in quotes if it looks like something else.",
    ),
    (
        SMALLEST_BIBLE + "tone: warm: and late\n",
        "b, line 8: there is a second ':' on this line. Put the text after the first ':' in quotes.",
    ),
    (
        SMALLEST_BIBLE + "\ttone: warm\n",
        "b, line 8: a tab indents this line. Indent with spaces; YAML does not take tabs.",
    ),
    (
        SMALLEST_BIBLE + "tone: !!python/object:os.system x\n",
        "b, line 8: tone: the tag 'tag:yaml.org,2002:python/object:os.system' is not allowed here. Leave the tag out.",
    ),
    (
        SMALLEST_BIBLE.split("characters")[0],
        "b, line 1: characters: is missing. List two people or more, each with a `name` and a `want`.",
    ),
    (
        AS_TOML.replace('want = "to keep', 'wnat = "to keep'),
        "b, line 10: characters[1].wnat: is not a key that is known here. Did you mean `want`?",
    ),
    (
        AS_TOML.replace('"Ansel Roe"', "Ansel Roe"),
        "b, line 9: this is not valid TOML: invalid value. Texts stand in quotes, key = value stands on one line, "
        "[tables] at the start of one.",
    ),
    (
        GUIDE.replace('"goal"', '"gaol"'),
        "b, line 7: mainCharacters[1].gaol: is not a key that is known here. Did you mean `goal`?",
    ),
    (
        GUIDE.replace('"premise": "A pilot comes home."', '"premise": ""'),
        "b, line 3: premise: is empty. Write what the series is about in a sentence: `premise: ...`.",
    ),
    (
        GUIDE.replace('"A pilot comes home.",', '"A pilot comes home."'),
        "b, line 4: this is not valid JSON: Expecting ',' delimiter. Look at the end of the line before: a comma or a "
        "closing bracket is missing.",
    ),
]


@pytest.mark.parametrize(("text", "message"), MISTAKES)
def test_a_mistake_is_named_with_its_line_its_key_and_the_way_out(text: str, message: str) -> None:
    assert message in problems(text)


def test_all_mistakes_are_named_at_once_in_the_order_of_the_file() -> None:
    text = (
        SMALLEST_BIBLE.replace("name: Marit Vold", "nmae: Marit Vold")
        + "tones: warm\nlocations: [{look: bare}]\n"
    )
    lines = [message.split(":")[0] for message in problems(text)]
    assert lines == ["b, line 4", "b, line 4", "b, line 8", "b, line 9"]


@pytest.mark.parametrize(("format", "text"), [
    ("yaml", "a: " + "[" * 5000), ("yaml", "- " * 5000), ("json", "[" * 100_000), ("json", '{"a":' * 5000),
    ("toml", "a = " + "[" * 5000), ("toml", "a" + ".a" * 5000 + " = 1"), ("toml", "[a" + ".a" * 5000 + "]"),
    ("toml", "a = " + "{a=" * 5000),
])  # fmt: skip
def test_bottomless_nesting_is_refused(format: Format, text: str) -> None:
    assert "nested more than 40 deep" in problems(text, format)[0]


def test_a_bomb_of_references_is_refused() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    assert "more than" in problems("\n".join(levels))[0]
    assert "refers to the block that it stands in" in problems("a: &a [*a]")[0]


@pytest.mark.parametrize(("text", "words"), [
    ("title: x\n" + "# padding\n" * 250_000, "larger than 2,000,000 bytes"),
    ("", "nothing is written here"),
    ("- a\n- b", "a bible is a block of keys, this is a list"),
    ("title: a\n---\ntitle: b", "a second document"),
    ("title: \x07", "a character stands here that YAML does not allow"),
    ("title: \ud800", "lone surrogate"),
    ("<<: {a: b}", "merge keys"),
    ("? [a]\n: b", "a key here is a list"),
    (SMALLEST_BIBLE + f"tone: {'x' * 20_001}", "at most 20,000 fit in one field"),
    ('{"title": ' + "9" * 5000 + "}", "not valid JSON"),
    ("title = " + "9" * 5000, "not valid TOML"),
    (SMALLEST_BIBLE.replace("Marit Vold", "M" * 81), "is longer than 80 characters"),
    (SMALLEST_BIBLE.replace("premise: A", "premise: ' ' # A"), "premise: is empty"),
    ("nowhere.yaml", "there is no such file"),
    ("no_such_sample", "there is no such file"),
])  # fmt: skip
def test_hostile_or_hopeless_input_gets_a_clear_answer(text: str, words: str) -> None:
    assert words in problems(text)[0]


def test_a_file_that_cannot_be_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_bytes(b"title: x\npremise: \xff\xfe")
    with pytest.raises(StoryError, match=r"b\.yaml, line 2: this is not UTF-8 text"):
        load_bible(file)
    with pytest.raises(StoryError, match="this is a folder"):
        load_bible(tmp_path)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=12,
)


@given(values)
def test_lines_of_any_json_lead_to_the_values_that_stand_there(value: object) -> None:
    source = parse(json.dumps(value, indent=1), "json", "b")
    assert source.data == value
    rows = json.dumps(value, indent=1).split("\n")
    for path, line in source.lines.items():
        if path and isinstance(path[-1], str):
            assert rows[line - 1].strip().startswith(json.dumps(path[-1]) + ":")


@given(
    st.dictionaries(st.text(max_size=12), values, max_size=4) | st.text(max_size=200),
    st.sampled_from(["yaml", "json", "toml"]),
)
def test_whatever_is_given_the_answer_is_a_bible_or_a_story_error(given_: object, format: Format) -> None:
    text = given_ if isinstance(given_, str) else json.dumps(given_)
    try:
        assert isinstance(load_bible(text + "\n", format), StoryBible)
    except StoryError as error:
        assert error.problems
        assert all(problem.what for problem in error.problems)


GUIDE_KEYS = [
    "title",
    "characters",
    "mainCharacters",
    "worldBuilding",
    "narrativeElements",
    "relationships",
    "locations",
    "arcs",
    "threads",
    "rules",
    "name",
    "want",
    "genres",
    "themes",
    "premise",
    "setting",
    "cards",
]


@given(st.recursive(
    st.none() | st.text(max_size=5) | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(GUIDE_KEYS), inner, max_size=5),
    max_leaves=25,
))  # fmt: skip
def test_known_keys_with_the_wrong_things_in_them_never_crash(value: object) -> None:
    try:
        load_bible(json.dumps(value) + "\n", "json")
    except StoryError as error:
        assert error.problems


def test_text_from_a_stranger_is_never_taken_for_a_files_name(tmp_path: Path) -> None:
    file = tmp_path / "b.yaml"
    file.write_text(SMALLEST_BIBLE, encoding="utf-8")
    with pytest.raises(StoryError, match="a bible is a block of keys, this is text"):
        bible_from_text(str(file))


def test_formats_are_recognised_by_their_looks() -> None:
    assert [sniff(text) for text in (SMALLEST_BIBLE, AS_JSON, AS_TOML, "# x\n[world]\n", "- a")] == [
        "yaml", "json", "toml", "toml", "yaml",
    ]  # fmt: skip


def test_a_state_is_taken_from_an_episode_or_from_a_file_of_its_own(tmp_path: Path) -> None:
    episode = an_episode()
    (tmp_path / "e01.json").write_text(to_json(episode), encoding="utf-8")
    (tmp_path / "state.json").write_text(episode.state.model_dump_json(), encoding="utf-8")
    assert load_state(tmp_path / "e01.json") == load_state(tmp_path / "state.json") == episode.state
    (tmp_path / "bible.json").write_text(AS_JSON, encoding="utf-8")
    with pytest.raises(StoryError, match="neither a story state nor an episode"):
        load_state(tmp_path / "bible.json")


def test_an_episode_comes_back_from_json_and_a_broken_one_says_where() -> None:
    episode = an_episode()
    assert from_json(to_json(episode)) == episode
    with pytest.raises(StoryError, match=r"line \d+: scenes\[0\]\.elements\[0\]\.text: should be text"):
        from_json(to_json(episode).replace('"Marit puts the log on the table."', "3"))


def test_the_samples_come_with_the_studio() -> None:
    assert "slack_water" in sample_names()
    for name in sample_names():
        bible = load_sample(name)
        assert bible.cards is None or {"scenes", "endings"} <= bible.cards.keys()
    with pytest.raises(StoryError, match="Did you mean 'slack_water'"):
        load_sample("slack_watr")
    with pytest.raises(StoryError, match="no sample of this name"):
        load_sample("../../etc")

"""Scripts of one's own, scored: any of the formats, many at once, and no file that breaks it for the others."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cinegen_core.analysis.episodes import take
from cinegen_core.analysis.scripts import MOST_BYTES, MOST_FILES, Scored, score_files
from cinegen_core.scorer import score
from cinegen_core.story import Episode, EpisodeRequest, StoryBible
from cinegen_core.story.formats import read_script, to_fdx, to_fountain, to_json, to_text
from cinegen_core.writers.embedded import EmbeddedWriter


@pytest.fixture(scope="module")
def bible(samples: dict[str, StoryBible]) -> StoryBible:
    return samples["slack_water"]


@pytest.fixture(scope="module")
def episode(bible: StoryBible, embedded: EmbeddedWriter) -> Episode:
    return take(embedded, EpisodeRequest(bible=bible, seed=3)).episode


def only(name: str, raw: bytes) -> Scored:
    (scored,) = score_files([(name, raw)])
    return scored


def test_several_scripts_in_several_formats_are_scored_at_once_and_in_order(episode: Episode) -> None:
    texts = {
        "mine.fountain": to_fountain(episode),
        "mine.fdx": to_fdx(episode),
        "mine.txt": to_text(episode),
        "mine.json": to_json(episode),
    }
    scored = score_files((name, text.encode()) for name, text in texts.items())
    assert [one.name for one in scored] == list(texts)
    for one in scored:
        assert one.card == score(read_script(texts[one.name], name=one.name))
        assert one.card is not None
        assert one.card.overall is not None
        assert one.title == episode.title
        assert not one.error


def test_a_bible_makes_the_scorer_look_at_what_it_cannot_see_without(
    episode: Episode, bible: StoryBible
) -> None:
    files = [("mine.fountain", to_fountain(episode).encode())]
    (with_bible,), (without,) = score_files(files, bible), score_files(files)
    assert with_bible.card is not None
    assert without.card is not None
    assert any("without a bible" in note for note in without.card.notes)
    assert not any("without a bible" in note for note in with_bible.card.notes)


def test_one_broken_file_leaves_the_others_their_scores(episode: Episode) -> None:
    good = to_fountain(episode).encode()
    first, broken, last = score_files(
        [("a.fountain", good), ("b.fdx", b"<FinalDraft><"), ("c.fountain", good)]
    )
    assert first.card == last.card
    assert broken.card is None
    assert broken.error.startswith("b.fdx, line 1")


@pytest.mark.parametrize(
    ("name", "raw", "says"),
    [
        ("empty.fountain", b"", "nothing is written here"),
        ("image.png", b"\x89PNG\r\n\xff\xfe", "not UTF-8"),
        ("long.txt", b"x" * (MOST_BYTES + 1), "larger than 2,097,152 bytes"),
        ("deep.json", b'{"a":' * 100_000, "deep.json"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(name: str, raw: bytes, says: str) -> None:
    scored = only(name, raw)
    assert scored.card is None
    assert says in scored.error
    assert scored.error.startswith(name)


def test_a_text_that_is_no_screenplay_has_a_card_with_the_reason() -> None:
    scored = only("shopping.txt", b"Milk, bread, and a lamp for the window.")
    assert scored.card is not None
    assert scored.card.overall is None
    assert "not a screenplay" in scored.card.reason


def test_files_beyond_the_most_are_told_of_and_not_read() -> None:
    read: list[int] = []

    def files() -> Iterator[tuple[str, bytes]]:
        for number in range(10 * MOST_FILES):
            read.append(number)
            yield f"{number}.txt", b"A short note."

    scored = score_files(files())
    assert len(scored) == MOST_FILES + 1
    assert scored[-1].card is None
    assert scored[-1].name == f"{MOST_FILES}.txt"
    assert "at most 50 at once" in scored[-1].error
    assert len(read) == MOST_FILES + 1


def test_a_name_is_shown_on_one_line_whatever_it_is() -> None:
    scored = only("../../x\n\x1b[31m<b>.txt", b"")
    assert scored.name == "../../x [31m<b>.txt"
    assert len(only("n" * 5000 + ".txt", b"").name) == 120


def test_no_files_are_no_scores() -> None:
    assert score_files([]) == ()

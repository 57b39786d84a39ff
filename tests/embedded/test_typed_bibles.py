"""A bible as an ordinary user types it: secrets are read, and turned to the person who speaks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cinegen_core.story import Character, StoryBible
from cinegen_core.story.bible import Subject
from cinegen_core.writers.embedded import EmbeddedWriter
from cinegen_core.writers.embedded.chance import Chance
from cinegen_core.writers.embedded.grammar import expand_contractions, forms, tidy
from cinegen_core.writers.embedded.secrets import kind_of_secret, mark_others, thing_of, unmark
from cinegen_core.writers.embedded.tokens import Truths


@pytest.mark.parametrize(
    ("secret", "kind", "thing"),
    [
        ("has kept a tape of every one of her shows in his mother's freezer", "keepsake", "the tape"),
        ("signed the sale of the station three weeks ago", "deal", "the sale"),
        ("reads out letters from listeners who do not exist", "pretence", "the letters"),
        ("rings in every night pretending to be an old woman called Maureen", "pretence", "Maureen"),
        ("owes forty thousand to a loan shark", "debt", "the debt"),
        ("is dying of cancer", "sickness", "the illness"),
        ("knows who burned down the mill", "knowledge", "what happened at the mill"),
        ("stole the crown jewels", "theft", "the crown jewels"),
    ],
)
def test_a_secret_has_a_kind_and_a_noun(secret: str, kind: str, thing: str) -> None:
    assert kind_of_secret(secret) == kind
    assert thing_of(secret, kind) == thing


@pytest.mark.parametrize(
    ("secret", "subject", "me", "you"),
    [
        ("They signed the sale.", "they", "I signed the sale.", "You signed the sale."),
        ("She keeps her mother's ring.", "she", "I keep my mother's ring.", "You keep your mother's ring."),
        ("He is lying about his age.", "he", "I'm lying about my age.", "You're lying about your age."),
        (
            "Embezzled money from the roof fund",
            "he",
            "I embezzled money from the roof fund.",
            "You embezzled money from the roof fund.",
        ),
        (
            "secretly in love with Mia",
            "he",
            "I'm secretly in love with Mia.",
            "You're secretly in love with Mia.",
        ),
    ],
)
def test_a_secret_is_said_in_the_first_and_to_the_second_person(
    secret: str, subject: Subject, me: str, you: str
) -> None:
    said = forms(secret, ("Jo", "Jo Hart"), subject)
    assert (said["me"], said["you"]) == (me, you)


def test_whom_a_pronoun_means_depends_on_who_else_is_there() -> None:
    gil = Character(name="Gil Rask", pronouns="he/him")
    noor = Character(name="Noor Haddad", pronouns="she/her")
    marked = mark_others("He has kept a tape of every one of her shows.", gil, {"noor": noor}, "noor")
    assert "<noor:POS>" in marked
    assert unmark(marked, {"noor": "Noor"}) == "He has kept a tape of every one of Noor's shows."


@given(st.text(max_size=200))
def test_no_text_breaks_the_grammar(text: str) -> None:
    for person in ("she", "he", "they", "it"):
        said = forms(text, ("Jo",), person)
        assert set(said) == {"me", "you", "he"}
    assert isinstance(tidy(expand_contractions(text)), str)
    assert kind_of_secret(text)
    assert thing_of(text, kind_of_secret(text))


@given(st.lists(st.sampled_from(["a:f", "a:f.c", "log@a", "log@b", "log@gone", "row", "-row"]), max_size=12))
def test_a_thing_is_in_one_place_and_what_is_known_stays_known(tokens: list[str]) -> None:
    truths = Truths(frozenset())
    known: set[str] = set()
    for token in tokens:
        truths = truths.after([token])
        known |= {token} if ":" in token else set()
        assert sum(t.startswith("log@") for t in truths.holds) <= 1
        assert known <= truths.holds


@given(st.text(max_size=20), st.lists(st.text(max_size=8), max_size=4))
def test_a_decision_depends_on_its_key_alone(seed: str, key: list[str]) -> None:
    assert Chance(seed).roll(*key) == Chance(seed).roll(*key)
    assert 0 <= Chance(seed).roll(*key) < 1


def test_each_kind_of_secret_finds_scenes_in_the_library(
    embedded: EmbeddedWriter, typed_bibles: dict[str, StoryBible]
) -> None:
    for name, bible in typed_bibles.items():
        series, repertoire = embedded.series(bible)
        assert not series.written
        for fact in series.cards.facts:
            own = [s for s in repertoire.scenes if s.fact == fact]
            assert len(own) >= 10, f"{name}: {fact}"

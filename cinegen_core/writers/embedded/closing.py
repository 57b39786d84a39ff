"""How an episode ends: the cliff, and three choices that grow from it."""

from __future__ import annotations

from cinegen_core.story import Action, Choice, Effect, Scene
from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.cards import Series
from cinegen_core.writers.embedded.orders import Orders
from cinegen_core.writers.embedded.playable import PlayableChoice
from cinegen_core.writers.embedded.scribe import Element, Scribe, Segment
from cinegen_core.writers.embedded.speech import Stage
from cinegen_core.writers.embedded.tokens import is_knowledge, knower
from cinegen_core.writers.embedded.work import Work

PLAIN_CHOICES = (
    ("Go on asking about {thing}.", "It may cost more than it has so far."),
    ("Leave {thing} alone for now.", "It will still be there tomorrow."),
    ("Talk to somebody else about {thing}.", "There is no telling what they will do."),
)


def cliff(work: Work, orders: Orders, scribe: Scribe, segment: Segment, scene: Scene) -> list[Element]:
    """What happens at the end, and a look at what the choices are about where it has not been seen yet."""
    ending = work.plan.ending
    stage = Segment(
        segment.index, (), ending.roles, ending.people, segment.place, segment.time, True, segment.fact
    )
    found = list(scribe.lines(ending.script.lines, stage, "cliff", ending.id)) if orders.cliff else []
    if orders.anchored_choices:
        speak = Stage(work.series, ending.roles, segment.place)
        seen = content_words(" ".join(e.text for e in (*scene.elements, *found)))
        images = [
            image
            for choice in ending.choices
            if choice.script.image and not content_words(image := speak.fill(choice.script.image)) & seen
        ]
        if images:
            found.append(Action(text=" ".join(i if i.endswith((".", "!", "?")) else i + "." for i in images)))
    return found


def choices(work: Work, orders: Orders, segment: Segment) -> tuple[Choice, Choice, Choice]:
    """The three ways on, with what each changes."""
    ending = work.plan.ending
    stage = Stage(work.series, ending.roles, segment.place)
    fact = work.series.cards.facts.get(ending.fact) or next(iter(work.series.cards.facts.values()), None)
    thing = (fact.thing if fact else "") or "it"
    found = []
    for index, choice in enumerate(ending.choices):
        if orders.anchored_choices:
            label, cost = stage.fill(choice.script.label), stage.fill(choice.script.cost)
        else:
            label, cost = (text.format(thing=thing) for text in PLAIN_CHOICES[index])
        found.append(
            Choice(
                id=choice.script.id,
                label=label,
                consequence=cost,
                effects=tuple(_effects(work.series, choice)),
                canonical=index == 0,
                axis=_axis(choice) if orders.anchored_choices else "",
                anchor=stage.fill(choice.script.image)
                if choice.script.image and orders.anchored_choices
                else "",
            )
        )
    return (found[0], found[1], found[2])


def _effects(series: Series, choice: PlayableChoice) -> list[Effect]:
    effects = []
    for token in choice.gives:
        if is_knowledge(token):
            who, what = knower(token)
            fact, _, clue = what.partition(".")
            card = series.cards.facts.get(fact)
            if who in series.people and card:
                text = card.clues.get(clue, clue) if clue else card.question
                effects.append(Effect(kind="knows", subject=series.people[who].cue, value=text))
        elif "@" in token:
            prop, _, spot = token.partition("@")
            card_ = series.cards.props.get(prop)
            where = series.people[spot].cue if spot in series.people else spot
            effects.append(Effect(kind="prop", subject=card_.name if card_ else prop, value=where))
        else:
            effects.append(
                Effect(kind="flag", subject=token.lstrip("-"), value="no" if token.startswith("-") else "yes")
            )
    return effects


def _axis(choice: PlayableChoice) -> str:
    if any(is_knowledge(t) for t in choice.gives):
        return "tell / keep"
    if any("@" in t for t in choice.gives):
        return "hold / give up"
    return "act / wait"

"""From a bible without cards to a playable series: only what the bible says, and what the general library has for it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from cinegen_core.engines.reading import head_noun, manner_of, mentions
from cinegen_core.story import Character, Location, StoryBible
from cinegen_core.story.words import content_words
from cinegen_core.writers.embedded.cards import (
    BackgroundCard,
    Cards,
    CastCard,
    ConventionCard,
    FactCard,
    MotifCard,
    PlaceCard,
    PropCard,
    RuleCard,
    Series,
    key_of,
    people_of,
    short_names,
)
from cinegen_core.writers.embedded.grammar import forms, predicate, sentence
from cinegen_core.writers.embedded.notation import Script
from cinegen_core.writers.embedded.secrets import kind_of_secret, mark_others, thing_of, unmark

_PLACE_KINDS = (
    ("kitchen", r"kitchen|galley|canteen|caf[eé]|diner|restaurant|bakery"),
    ("bar", r"\bbar\b|pub|tavern|club|saloon|inn\b|casino"),
    ("boat", r"\bboat|\bship\b|\bdeck\b|bridge of the|ferry|submarine|yacht|harbou?r|dock"),
    ("vehicle", r"\bcar\b|\bvan\b|truck|train|cab\b|bus\b|cockpit|shuttle|spacecraft|airlock|capsule"),
    ("ward", r"hospital|\bward\b|clinic|surgery|infirmary|sick ?bay|morgue|asylum"),
    ("school", r"\bschool|classroom|university|college|lecture|library|archive"),
    ("workshop", r"workshop|garage|factory|engine|laborator|\blab\b|forge|studio|mill\b|mine\b|greenhouse|warehouse|barn|control room"),
    ("stage", r"theat|\bstage|backstage|dressing room|concert"),
    ("shop", r"shop|store\b|market|counter|stall|supermarket|salon|bank\b|reception|lobby"),
    ("outdoors", r"forest|wood|field|beach|mountain|lake|river|desert|hill|moor|cliff|island|garden|farm|graveyard|cemetery|camp|cave|swamp|meadow|park\b"),
    ("street", r"street|alley|road|square|bridge|roof|yard|quay|station|plaza|courtyard|parking|gate|wall\b|platform"),
    ("home", r"home|house|flat|bedroom|living|apartment|attic|cellar|basement|bathroom|porch|cottage|cabin|castle|palace|villa|hut|nursery|dining|parlou?r|hotel|room"),
    ("office", r"office|study|bureau|reception|station|headquarters|dispatch|counting"),
)  # fmt: skip
_OUTSIDE = frozenset(("boat", "vehicle", "outdoors", "street"))
_TELLS = {
    "terse": ("looks at the floor before answering", "does up a zip that is already done up", "moves a pen an inch to the left", "stands with both hands in one pocket"),
    "talker": ("talks with one hand and stops it with the other", "folds a piece of paper in half, and in half again", "touches a sleeve to make a point", "looks for a chair and does not take it"),
    "formal": ("squares a pile of papers", "uncaps a pen and caps it again", "checks the time", "folds both hands and unfolds them"),
    "quick": ("taps two fingers against a thumb", "checks a phone and puts it away", "starts to leave, and comes back", "bites the edge of a nail"),
    "gentle": ("tucks a sleeve over one hand", "waits with a hand half raised", "picks a thread from a cuff", "looks at the other's hands"),
    "wry": ("raises one eyebrow at nobody", "leans on the nearest wall", "smiles on one side only", "examines a perfectly good cuff"),
    "plain": ("rubs the back of one hand", "shifts from one foot to the other", "looks at the door", "takes a breath and lets it go"),
}  # fmt: skip
_TITLES = (
    "Before It's Light", "Somebody Knew", "The Short Answer", "Two Keys", "Left Unlocked", "What Was Said", "The Wrong Drawer", "One Name",
    "After Everyone Had Gone", "Say It Again", "The Other Copy", "A Price", "Nobody Asked", "Second Thoughts", "By Tomorrow", "In Writing",
)  # fmt: skip
_CONVENTIONS = {
    "comedy": ("a public disaster", "a small, private kindness", "a fall down the stairs"),
    "romance": ("a declaration", "something done instead of said", "a kiss in the rain"),
    "horror": ("the thing at the door", "the thing already inside", "a scream in the dark"),
    "mystery": ("the stranger did it", "somebody in the room did", "a confession at gunpoint"),
    "thriller": ("a chase", "a conversation that cannot be left", "a gunfight"),
    "drama": ("a reconciliation", "the truth, too late to be kind", "a deathbed"),
}


def place_kind(location: Location) -> str:
    """A kind of place that the library has lines for; "" for an interior that its name does not tell."""
    name = location.name.casefold()
    for kind, pattern in _PLACE_KINDS:
        if (location.interior or kind in _OUTSIDE) and re.search(pattern, name):
            return kind
    return "" if location.interior else "outdoors" if re.search(r"yard|garden|field", name) else "street"


def _split_sentences(text: str) -> list[str]:
    return [sentence(s) for s in re.split(r"(?<=[.!?])\s+", text.strip()) if s.strip()]


class _Stock:
    """The general library's plain lists."""

    def __init__(self, library: Script) -> None:
        self.blocks = library.blocks

    def lines(self, section: str, name: str, key: str) -> tuple[str, ...]:
        return tuple(
            v for s, n, pairs in self.blocks if s == section and n == name for k, v in pairs if k == key and v
        )

    def pairs(self, section: str, name: str) -> list[tuple[str, str]]:
        return [pair for s, n, pairs in self.blocks if s == section and n == name for pair in pairs]

    def section(self, section: str) -> list[str]:
        return [v for s, _, pairs in self.blocks if s == section for _, v in pairs if v]


def _places(
    bible: StoryBible, stock: _Stock, people: Iterable[tuple[str, str]]
) -> tuple[tuple[Location, ...], dict[str, PlaceCard]]:
    locations = bible.locations
    if not locations:
        locations = (
            Location(name="Front room"),
            Location(name="Kitchen"),
            Location(name="Street", interior=False),
        )
    cards: dict[str, PlaceCard] = {}
    for location in locations:
        kind = place_kind(location)
        bare = re.sub(r"^(the|a|an)\s+", "", location.name, flags=re.IGNORECASE)
        text = f"{location.name} {location.look} {location.activity}".casefold()
        own_sound = tuple(_split_sentences(location.sound))
        own_smell = tuple(_split_sentences(location.smell))
        key = key_of(bare)
        while key in cards:
            key += "x"
        cards[key] = PlaceCard(
            location=location.name,
            slug=f"{'INT.' if location.interior else 'EXT.'} {bare.upper()}",
            whose=tuple(k for k, name in people if re.search(rf"\b{re.escape(name.casefold())}\b", text)),
            kind=kind,
            ambience=(*_split_sentences(location.look), *stock.lines("place", kind, "ambience")),
            sounds=(*own_sound, *stock.lines("place", kind, "sound")),
            smells=(*own_smell, *stock.lines("place", kind, "smell")),
            business=stock.lines("place", kind, "business"),
        )
    return locations, cards


def _background(stock: _Stock, places: dict[str, PlaceCard]) -> tuple[BackgroundCard, ...]:
    found: dict[str, BackgroundCard] = {}
    for key, place in places.items():
        for line in stock.lines("place", place.kind, "background"):
            parts = [p.strip() for p in line.split("|")]
            if len(parts) == 4:
                old = found.get(parts[0])
                at = (*old.at, key) if old else (key,)
                found[parts[0]] = BackgroundCard(
                    who=parts[0], enters=parts[1], business=parts[2], leaves=parts[3], at=at
                )
    return tuple(found.values())


def _with_article(name: str) -> str:
    name = name.strip()
    return re.sub(r"^(a|an)\s+", "the ", name, flags=re.IGNORECASE) if re.match(r"^(the|a|an|his|her|their)\b", name, re.IGNORECASE) else (
        name if name[:1].isupper() else "the " + name
    )  # fmt: skip


def _motifs(bible: StoryBible, places: dict[str, PlaceCard]) -> dict[str, MotifCard]:
    """Motifs are seen where the bible's own words put them, else in the first place only."""
    texts = {place.location: f"{place.location} {' '.join(place.ambience)}" for place in places.values()}
    cards = {}
    for index, name in enumerate(bible.motifs):
        thing = _with_article(name)
        there = thing[:1].upper() + thing[1:]
        noun = head_noun(name)
        own = {
            location.name: f"{location.name} {location.look} {location.activity}"
            for location in bible.locations
        }
        at = next(
            (key for key, p in places.items() if mentions(own.get(p.location, texts[p.location]), noun)),
            next(iter(places)),
        )
        cards[f"motif{index}"] = MotifCard(
            name=name,
            at=at,
            touches=(
                f"Both of them look at {thing}, and neither says why.", f"A hand comes to rest next to {thing}.",
                f"Something has been put in front of {thing}.", f"Somebody has moved {thing}, not far.",
            ),
            inverted=(f"{there} is not where it was.", f"Somebody has turned {thing} to the wall."),
        )  # fmt: skip
    return cards


def _fact(
    bible: StoryBible,
    character: Character,
    key: str,
    keys: dict[str, Character],
    lead: str,
    order: int,
    stock: _Stock,
) -> tuple[FactCard, PropCard | None]:
    others = {k: c for k, c in keys.items() if k != key}
    names = {k: c.short for k, c in keys.items()}
    secret = character.secret
    if not secret:
        want = re.sub(r"^to\s+", "", character.want.rstrip(".")) if character.want else "keep something back"
        secret = f"{character.short} means to {want}, whatever it costs."
        kind, thing = "leaving", "the plan"
    else:
        first = re.split(r"(?<=[.!?;])\s+", secret)[0]
        body = predicate(first, (character.name, character.short))
        kind = kind_of_secret(body)
        thing = thing_of(body, kind)
        secret = first
    marked = mark_others(secret, character, others, lead)
    spoken = forms(marked, (character.short, character.name), character.subject)
    truth = unmark(spoken["he"], names)
    touched = re.search(r"<(\w+):", marked)
    hurts = touched.group(1) if touched else (lead if lead != key else next(iter(others)))
    kind_pairs = stock.pairs("kind", kind) + stock.pairs("kind", "any")
    clues: dict[str, str] = {}
    for left, right in kind_pairs:
        if left.startswith("clue "):
            clues.setdefault(
                left.removeprefix("clue ").strip(), _plain_slots(right, character, names[lead], thing)
            )
    stakes = [v for k, v in kind_pairs if k == "stake"]
    stake = _plain_slots(stakes[0], character, names[lead], thing) if stakes else ""
    prop = next((v for k, v in kind_pairs if k == "prop"), "")
    prop_card = None
    if prop:
        name, _, look = prop.partition("|")
        prop_card = PropCard(name=name.strip(), look=look.strip())
    return (
        FactCard(
            holder=key,
            hurts=hurts,
            order=order,
            question=f"What is {character.short} keeping quiet about {thing}?",
            truth=truth,
            thing=thing,
            stake=stake,
            prop=f"{key}-secret-prop" if prop_card else None,
            clues=clues,
            secret=kind,
            forms=spoken,
        ),
        prop_card,
    )


def _plain_slots(text: str, holder: Character, lead: str, thing: str) -> str:
    from cinegen_core.writers.embedded.grammar import PRONOUNS, tidy

    he, him, his, himself, _ = PRONOUNS[holder.subject]
    text = (
        text.replace("{H.he}", he)
        .replace("{H.him}", him)
        .replace("{H.his}", his)
        .replace("{H.himself}", himself)
    )
    text = (
        text.replace("{H}", holder.short)
        .replace("{A}", lead)
        .replace("{thing}", thing)
        .replace("{Thing}", thing)
    )
    text = re.sub(r"\{[AHX]:([^/{}]+)/([^{}]+)\}", r"\2" if holder.subject == "they" else r"\1", text)
    text = text.replace("{X}", "somebody").replace("{place}", "this place").replace("{prop}", "the papers")
    return tidy(re.sub(r"\{[^{}]*\}", "it", text))


def derive_series(bible: StoryBible, library: Script) -> Series:
    """A playable series from any bible. Never fails for a bible that was accepted."""
    stock = _Stock(library)
    cast = {}
    keys = short_names(bible)
    for key, character in keys.items():
        manner = manner_of(character.voice)
        cast[key] = CastCard(
            register=manner,
            intro=character.look or ", ".join(p for p in (character.age, character.role) if p),
            tells=_TELLS[manner],
        )
    lead = next((k for k, c in keys.items() if c.want), next(iter(keys)))
    locations, places = _places(bible, stock, [(k, c.short) for k, c in keys.items()])
    holders = [k for k, c in keys.items() if c.secret]
    if not any(k != lead for k in holders):  # somebody has to keep something from the protagonist
        holders += [k for k in keys if k != lead][:1]
    told = content_words(f"{bible.premise} {' '.join(bible.threads)}") - {
        w for c in bible.characters for w in content_words(c.name)
    }
    central = {k: len(told & content_words(keys[k].secret)) for k in holders}
    holders.sort(key=lambda k: (k == lead, -central[k]))
    facts: dict[str, FactCard] = {}
    props: dict[str, PropCard] = {}
    for index, key in enumerate(holders):
        order = 4 if key == lead else 1 if index == 0 or central[key] else 2
        name = f"{key}-secret"
        facts[name], prop = _fact(bible, keys[key], key, keys, lead, order, stock)
        if prop is not None:
            props[f"{key}-secret-prop"] = prop
    genres = " ".join(bible.genres).casefold()
    conventions = tuple(
        ConventionCard(expected=e, delivered=d, forbidden=f)
        for g, (e, d, f) in _CONVENTIONS.items()
        if g[:5] in genres
    )
    titles = tuple(
        dict.fromkeys(
            (*(_title(m) for m in bible.motifs), *(_title(p.location) for p in places.values()), *_TITLES)
        )
    )
    cards = Cards(
        protagonist=lead,
        titles=titles,
        cast=cast,
        facts=facts,
        props=props,
        places=places,
        motifs=_motifs(bible, places),
        background=_background(stock, places),
        rules={
            f"rule{i}": RuleCard(
                rule=rule, shown=(f"A notice on the wall, typed: {rule.rstrip('.').upper()}.",), cost=()
            )
            for i, rule in enumerate(bible.world.rules)
        },
        weather=tuple(stock.section("weather")),
        conventions=conventions
        or (ConventionCard(expected="a reconciliation", delivered="the truth", forbidden="a deathbed"),),
    )
    full = bible if bible.locations else bible.model_copy(update={"locations": locations})
    people = people_of(full, cast)
    return Series(bible=full, cards=cards, people=people, script=Script(), written=False)


def _title(text: str) -> str:
    small = {"a", "an", "the", "of", "in", "on", "at", "to", "and", "that", "with"}
    words = text.split()
    return " ".join(
        w if w.isupper() else (w.lower() if i and w.lower() in small else w[:1].upper() + w[1:])
        for i, w in enumerate(words)
    )

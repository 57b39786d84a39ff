"""Reading a secret as an ordinary user types it: what kind it is, what it is about, whom it touches."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cinegen_core.story import Character
from cinegen_core.writers.embedded.grammar import PRONOUNS

_KINDS: tuple[tuple[str, str], ...] = (
    ("uncanny", r"ghost|haunt|curse|demon|spirit|vampire|werewol|witch|immortal|the dead|from the dead|possess|inhuman|not human|time travel|hears voices|monster"),
    ("kinship", r"\b(is|was) (\w+'s|the|his|her|their) (real |secret |biological |long-lost |twin |half-)*(father|mother|son|daughter|brother|sister|twin|child|wife|husband|heir)|adopted|birth (mother|father)|half-(brother|sister)|bigam|already married|gave up a (child|baby)"),
    ("sickness", r"\b(ill|sick|dying|cancer|tumou?r|dementia|memory|blind|deaf|sight|heart condition|diagnos|terminal|pregnan|losing (?:his|her|their|the) (?:sight|hearing|memory|voice|mind)|(?:going )?deaf|addict|alcoholi|drinks? again|pills)\b"),
    ("debt", r"\b(owes?|debts?|gambl\w+|bankrupt\w*|loan\w*|broke|mortgag\w+|lender|insolven\w+|pawned)\b"),
    ("pretence", r"pretend|imperson|pos(es|ing) as|fak(e|ed|es|ing)|anonymous|forg(e|ed|es|ing)|not who|false name|real name|alias|lied about|lies about|invent(s|ed)|made up|do(es)? not exist|don't exist|never (went|qualified|studied|was a)|undercover|ghost-?writ|plagiari|disguis"),
    ("love", r"in love|loves?\b|affair|kiss|slept with|sleeping with|crush|married|feelings for|engaged"),
    ("theft", r"\b(stole|steals|stealing|stolen|embezzl\w+|took|skim\w*|shoplift\w*|swindl\w+|smuggl\w+|pockets?|robbed|siphon\w*|fiddl\w+)\b"),
    ("crime", r"\b(kill\w*|murder\w*|hit (a|the|somebody|someone)|ran (over|down)|poison\w*|burn\w*|fire|arson|hurt|pushed|drown\w*|let .{3,40} die|caused|accident|blackmail\w*|sabotag\w+|locked .{3,40} (?:still )?(?:on|in|inside) it|betray\w*|framed|attacked|shot|stabbed|drove|bribe\w*)\b"),
    ("deal", r"\b(sign\w*|sold|sell\w*|sale|agreed|deal|contract|bought|negotiat\w+|promised|informant|spying|spy|works? for|reporting to|leak\w*|traded|votes?)\b"),
    ("leaving", r"\b(leav\w+|moving|resign\w*|appl(y|ied)|quit\w*|run(ning)? away|ticket|emigrat\w+|new job|accepted|retir\w+|escape|going to go)\b"),
    ("failure", r"\b(failed|fails|fired|expelled|lost (his|her|their) (job|nerve|faith|licen[cs]e|voice|place)|never finished|dropped out|cannot|can't|gave up|has stopped|mistake|afraid|wrong|struck off)\b"),
    ("knowledge", r"\b(knows?|knew|saw|seen|witness\w*|heard|overheard|told|discovered|found out|read|remembers?)\b"),
    ("keepsake", r"\b(kept|keeps?|keeping|hid|hides|hidden|hiding|has .{2,30} (in|under|behind)|collects?|buried|stored|locked|carries)\b"),
)  # fmt: skip

_FALLBACK_THING = {
    "uncanny": "what came back", "kinship": "the family business", "sickness": "the illness", "debt": "the debt",
    "pretence": "the pretence", "love": "the affair", "theft": "the theft", "crime": "what happened on Friday night", "deal": "the deal",
    "leaving": "the plan to go", "failure": "the failure", "knowledge": "what happened on Friday night", "keepsake": "the hiding place",
}  # fmt: skip

_STOP = (
    r"(?=\s+(?:of|from|in|on|at|to|who|whom|whose|that|which|and|with|for|before|after|by|called|named|under|into|when|while|because|but|or|is|was|were|"
    r"has|had|have|behind|she|he|they|we|you|until|during|about|against|near|over|since|without|instead|every|pretending|so|as|through|out|off|up|across|die|drown|fall|burn|go|down|alone|behind|again|instead|twice|once|last|three|two)\b|[.,;:]|$)"
)
_DETERMINED = re.compile(
    r"\b(?:the|a|an|his|her|their|some|every|each|two|three|four|five|several|this|that|[A-Z]\w+'s)\s+((?:[a-z][a-z'-]*\s+){0,3}?[a-z][a-z'-]*)"
    + _STOP
)
_BARE_PLURAL = re.compile(
    r"\b\w+(?:s|ed|ing|d|t|k|e)\s+(?:out\s+|up\s+|off\s+)?((?:[a-z][a-z-]*\s+)?[a-z]{3,}s)" + _STOP
)
_PEOPLE = frozenset(
    [
        "mother",
        "father",
        "sister",
        "brother",
        "son",
        "daughter",
        "husband",
        "wife",
        "man",
        "woman",
        "friend",
        "person",
        "boss",
        "uncle",
        "aunt",
        "cousin",
        "neighbour",
        "neighbor",
        "colleague",
        "partner",
        "captain",
        "shark",
        "doctor",
        "nurse",
        "officer",
        "detective",
        "inspector",
        "teacher",
        "priest",
        "vicar",
        "king",
        "queen",
        "prince",
        "stranger",
        "rival",
        "ex",
        "lover",
        "mistress",
        "girl",
        "boy",
        "kid",
        "baby",
        "child",
        "dog",
        "cat",
        "patient",
        "client",
        "witness",
        "victim",
        "killer",
        "murderer",
        "thief",
        "cop",
        "policeman",
        "police",
        "gang",
        "mob",
        "army",
        "navy",
        "nobody",
        "everybody",
        "family",
        "parents",
        "children",
        "listener",
        "reporter",
        "owner",
        "manager",
        "singer",
        "actor",
        "soldier",
        "sailor",
        "pilot",
        "driver",
        "guard",
        "guest",
        "tenant",
        "landlord",
        "student",
        "pupil",
        "intern",
        "choir",
        "crew",
    ]
)
_NOT_THINGS = frozenset(
    [
        "night",
        "nights",
        "day",
        "days",
        "week",
        "weeks",
        "month",
        "months",
        "year",
        "years",
        "time",
        "times",
        "life",
        "way",
        "job",
        "self",
        "past",
        "truth",
        "world",
        "moment",
        "back",
        "name",
        "end",
        "rest",
        "order",
        "front",
        "lot",
        "middle",
        "fact",
        "while",
        "bit",
        "one",
        "others",
        "other",
        "thing",
        "things",
        "side",
        "start",
        "beginning",
        "does",
        "goes",
        "was",
        "has",
        "his",
        "this",
        "always",
        "less",
        "company",
        "government",
        "city",
        "town",
        "village",
        "best",
        "people",
        "person",
        "us",
        "them",
        "way",
        "part",
        "reason",
        "money's",
        "nothing",
        "something",
        "everything",
        "reads",
    ]
)
_PLACES = frozenset(
    [
        "floor",
        "room",
        "house",
        "mill",
        "bridge",
        "road",
        "lake",
        "river",
        "ward",
        "tower",
        "cellar",
        "barn",
        "beach",
        "church",
        "school",
        "station",
        "quarry",
        "pool",
        "farm",
    ]
)
_ING_NOUNS = frozenset(
    [
        "building",
        "painting",
        "ring",
        "wedding",
        "king",
        "recording",
        "drawing",
        "landing",
        "wing",
        "spring",
        "string",
        "evening",
        "morning",
        "hearing",
        "earring",
        "necklace",
        "clearing",
        "savings",
        "setting",
        "briefing",
        "meeting",
        "hiding",
        "sighting",
    ]
)


def kind_of_secret(text: str) -> str:
    """One of the kinds of FORMAT.md; `knowledge` where nothing tells."""
    folded = text.casefold()
    if re.match(r"^(\w+ ){0,2}(knows|knew|saw|witnessed|overheard|found out|discovered)\b", folded):
        return "knowledge"
    for kind, pattern in _KINDS:
        if re.search(pattern, folded):
            return kind
    return "knowledge"


def thing_of(text: str, kind: str) -> str:
    """What people would call the secret, as a noun with its article: "the tape", "the sale of the building"."""
    named = re.search(r"\b(?:called|named)\s+([A-Z][\w-]+)", text)
    if named and kind == "pretence":
        return named.group(1)
    if kind == "debt":
        return "the debt"
    if event := re.search(
        r"\b(accident|fire|crash|drowning|robbery|explosion|murder|affair|divorce|wedding)\b", text
    ):
        return f"the {event.group(1)}"
    nouns = list(_nouns(text))
    plain = next((noun for noun, person in nouns if not person), None)
    if kind == "keepsake" and nouns:
        return f"the {nouns[0][0]}"
    if plain is None or (kind == "knowledge" and nouns[0][1]):
        someone = next((noun for noun, person in nouns if person), None)
        if someone and kind in ("crime", "knowledge"):
            return f"what happened to the {someone}"
        return _FALLBACK_THING[kind]
    if kind in ("crime", "knowledge") and plain.split()[-1] in _PLACES:
        return f"what happened {'on' if plain.split()[-1] in ('floor', 'road', 'bridge', 'beach', 'river', 'lake') else 'at'} the {plain}"
    if kind == "deal" and re.search(r"\b(sold|sells?|selling)\b", text):
        return f"the sale of the {plain}"
    return f"the {plain}"


def _nouns(text: str) -> Iterator[tuple[str, bool]]:
    """Nouns in order with a word before them, and whether they are people."""
    after_verb = " ".join(text.split()[1:])
    for match in (
        *_DETERMINED.finditer(text),
        *_BARE_PLURAL.finditer("v " + after_verb),
        *_BARE_PLURAL.finditer(text),
    ):
        words = re.split(r"\b(?:the|a|an|his|her|their|some)\s+", match.group(1))[-1].split()
        words = [
            w
            for w in words
            if w not in ("own", "late", "other", "same", "whole", "real", "first", "last", "every")
        ]
        if (
            not words
            or words[-1].endswith("ly")
            or (words[-1].endswith("ing") and words[-1] not in _ING_NOUNS)
        ):
            continue
        head = words[-1]
        if head in _NOT_THINGS or head.rstrip("s") in _NOT_THINGS:
            continue
        if any(w in _NOT_THINGS or w in _PEOPLE for w in words[:-1]):
            words = words[-1:]
        kept = words[-3:] if any(w.endswith("'s") for w in words[-3:-1]) else words[-2:]
        yield (
            " ".join(kept),
            head in _PEOPLE or head.rstrip("s") in _PEOPLE or head.endswith(("master", "keeper")),
        )


def mark_others(text: str, holder: Character, others: dict[str, Character], lead: str) -> str:
    """Puts marks like `<noor:POS>` where the sentence means somebody else of the cast, by name or by pronoun."""
    for key, person in sorted(others.items(), key=lambda item: -len(item[1].name)):
        for name in dict.fromkeys((person.name, person.short)):
            text = re.sub(rf"\b{re.escape(name)}(?:'s|’s|(?<=s)')(?=\s)", f"<{key}:POS>", text)
            text = re.sub(rf"\b{re.escape(name)} (is|was|has)\b", rf"<{key}:SUB \1>", text)
            text = re.sub(rf"(?<!<)\b{re.escape(name)}\b(?!:)", f"<{key}:OBJ>", text)
    for subject in ("she", "he"):
        if subject == holder.subject:
            continue
        possible = [key for key, person in others.items() if person.subject == subject]
        key = lead if lead in possible else possible[0] if len(possible) == 1 else ""
        if not key:
            continue
        he, him, his, _, _ = PRONOUNS[subject]
        if subject == "she":
            text = re.sub(
                r"\bher (?=[a-z])(?!(?:to|that|about|for|in|on|at|and|from|with|when|if)\b)",
                f"<{key}:POS> ",
                text,
            )
        else:
            text = re.sub(rf"\b{his}\b", f"<{key}:POS>", text)
        text = re.sub(rf"\b{him}\b(?!:)", f"<{key}:OBJ>", text)
        text = re.sub(rf"(?<!^)\b{he} (is|was|has)\b", rf"<{key}:SUB \1>", text)
    return text


def unmark(text: str, people: dict[str, str]) -> str:
    """The sentence with names in place of marks."""

    def put(match: re.Match[str]) -> str:
        name = people[match.group(1)]
        word = match.group(2)
        return name + ("'s" if word == "POS" else word.removeprefix("SUB") if word.startswith("SUB ") else "")

    return re.sub(r"<(\w+):([^<>]+)>", put, text)

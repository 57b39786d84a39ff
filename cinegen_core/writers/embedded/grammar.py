"""Turning a sentence about somebody into what they say of themselves, or what is said to their face."""

from __future__ import annotations

import re
from typing import Literal

from cinegen_core.story.bible import Subject

Person = Literal["I", "you", "third"]

PRONOUNS: dict[str, tuple[str, str, str, str, str]] = {
    "he": ("he", "him", "his", "himself", "his"),
    "she": ("she", "her", "her", "herself", "hers"),
    "they": ("they", "them", "their", "themself", "theirs"),
    "it": ("it", "it", "its", "itself", "its"),
}
_FIRST = ("I", "me", "my", "myself", "mine")
_SECOND = ("you", "you", "your", "yourself", "yours")
_IRREGULAR = {
    "is": {"I": "am", "you": "are", "plural": "are"},
    "are": {"I": "am", "you": "are", "plural": "are"},
    "was": {"I": "was", "you": "were", "plural": "were"},
    "were": {"I": "was", "you": "were", "plural": "were"},
    "has": {"I": "have", "you": "have", "plural": "have"},
    "have": {"I": "have", "you": "have", "plural": "have"},
    "does": {"I": "do", "you": "do", "plural": "do"},
    "goes": {"I": "go", "you": "go", "plural": "go"},
    "doesn't": {"I": "don't", "you": "don't", "plural": "don't"},
    "isn't": {"I": "am not", "you": "aren't", "plural": "aren't"},
    "hasn't": {"I": "haven't", "you": "haven't", "plural": "haven't"},
    "wasn't": {"I": "wasn't", "you": "weren't", "plural": "weren't"},
}
_UNINFLECTED = frozenset(
    [
        "can",
        "could",
        "may",
        "might",
        "must",
        "shall",
        "should",
        "will",
        "would",
        "never",
        "always",
        "still",
        "only",
        "once",
        "secretly",
        "already",
    ]
)
_PAST = re.compile(
    r"(ed|ought|ept|old|ent|ade|ook|ost|aid|id|ave|ote|ound|eft|ad|an|an|ang|ut|et|urt|ost|ew|oke|ore|ole|ove|an)$"
)
_THIRD_PERSON_S = re.compile(r"^[a-z']+[^s]s$")


def base_form(verb: str) -> str:
    """ "keeps" -> "keep". Leaves what is no third person singular as it is."""
    if verb in _IRREGULAR:
        return _IRREGULAR[verb]["plural"]
    if not _THIRD_PERSON_S.match(verb) or verb in ("this", "his", "its", "was", "us"):
        return verb
    if verb.endswith("ies") and len(verb) > 4:
        return verb[:-3] + "y"
    if verb.endswith(("ches", "shes", "sses", "xes", "zes", "oes")):
        return verb[:-2]
    return verb[:-1]


def conjugate(verb: str, person: Person, subject: Subject) -> str:
    """A verb as it stands after he or she (or they), put after I or you."""
    if person == "third":
        return verb
    if verb in _IRREGULAR:
        return _IRREGULAR[verb][person]
    return verb if subject == "they" else base_form(verb)


def _verb_phrase(phrase: str, person: Person, subject: Subject) -> str:
    """Conjugates the first verb, and verbs joined to it by 'and' where that is safe to see."""
    words = phrase.split(" ")
    index = 0
    while index < len(words) - 1 and words[index].casefold().rstrip(",") in _UNINFLECTED:
        if words[index].casefold() in (
            "can",
            "could",
            "may",
            "might",
            "must",
            "shall",
            "should",
            "will",
            "would",
        ):
            return phrase
        index += 1
    words[index] = conjugate(words[index], person, subject)
    joined = " ".join(words)
    if subject != "they":
        joined = re.sub(
            r"\b(and|but|or) (has|is|was|does|goes)\b",
            lambda m: f"{m.group(1)} {conjugate(m.group(2), person, subject)}",
            joined,
        )
    return joined


def swap_pronouns(text: str, subject: Subject, person: Person, *, also_subject: bool = True) -> str:
    """Puts the pronouns of one person into another: "his mother" -> "my mother"."""
    if person == "third":
        return text
    own = _FIRST if person == "I" else _SECOND
    he, him, his, himself, hers = PRONOUNS[subject]

    def put(match: re.Match[str], word: str) -> str:
        if word == "I":
            return word
        return word.capitalize() if match.group(0)[0].isupper() else word

    text = re.sub(
        rf"\b{himself}\b|\b{himself.replace('self', 'selves')}\b",
        lambda m: put(m, own[3]),
        text,
        flags=re.IGNORECASE,
    )
    if subject == "she":
        text = re.sub(r"\bhers\b", lambda m: put(m, own[4]), text, flags=re.IGNORECASE)
        text = re.sub(
            r"\bher(?= [a-z])(?! (?:to|that|about|for|in|on|at|and|from|with|when|if)\b)",
            lambda m: put(m, own[2]),
            text,
            flags=re.IGNORECASE,
        )
        text = re.sub(r"\bher\b", lambda m: put(m, own[1]), text, flags=re.IGNORECASE)
    elif subject == "he":
        text = re.sub(r"\bhis\b", lambda m: put(m, own[2]), text, flags=re.IGNORECASE)
        text = re.sub(r"\bhim\b", lambda m: put(m, own[1]), text, flags=re.IGNORECASE)
    else:
        text = re.sub(rf"\b{his}\b", lambda m: put(m, own[2]), text, flags=re.IGNORECASE)
        text = re.sub(rf"\b{hers}\b", lambda m: put(m, own[4]), text, flags=re.IGNORECASE)
        text = re.sub(rf"\b{him}\b", lambda m: put(m, own[1]), text, flags=re.IGNORECASE)
    if also_subject:
        aux = {"I": {"is": "am", "are": "am", "has": "have", "does": "do", "was": "was", "were": "was"},
               "you": {"is": "are", "are": "are", "has": "have", "does": "do", "was": "were", "were": "were"}}[person]  # fmt: skip

        def subject_and_verb(match: re.Match[str]) -> str:
            verb = match.group(2) or ""
            if verb:
                bare = verb.strip()
                verb = " " + (aux[bare] if bare in aux else conjugate(bare, person, subject))
            return put(match, own[0]) + verb

        text = re.sub(rf"\b({he})( [a-z']+)?\b", subject_and_verb, text, flags=re.IGNORECASE)
    return text


def sentence(text: str) -> str:
    """Ends in a full stop and starts with a capital."""
    text = text.strip().rstrip(".")
    return (text[:1].upper() + text[1:] + ".") if text else ""


def split_subject(text: str, names: tuple[str, ...]) -> str:
    """What follows the subject: "Gil has kept a tape." -> "has kept a tape"."""
    text = text.strip().rstrip(".!")
    options = "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True) if n)
    return re.sub(rf"^(?:{options}|he|she|they|it|I)\s+", "", text, count=1, flags=re.IGNORECASE)


_PAST_FORMS = frozenset(
    [
        "said",
        "told",
        "knew",
        "saw",
        "took",
        "gave",
        "went",
        "came",
        "left",
        "kept",
        "lost",
        "sold",
        "bought",
        "stole",
        "broke",
        "wrote",
        "lied",
        "hid",
        "put",
        "let",
        "cut",
        "hit",
        "shut",
        "read",
        "made",
        "paid",
        "found",
        "met",
        "ran",
        "fell",
        "felt",
        "heard",
        "held",
        "led",
        "lent",
        "sent",
        "spent",
        "slept",
        "stood",
        "taught",
        "thought",
        "wore",
        "won",
        "spoke",
        "drove",
        "chose",
        "began",
        "became",
        "forgot",
        "fought",
        "got",
        "had",
        "did",
        "was",
        "were",
        "could",
        "would",
        "should",
        "might",
        "must",
        "can",
        "may",
        "will",
        "shall",
        "never",
    ]
)


def third_person(verb: str) -> str:
    """The verb after they, put after a name: "keep" -> "keeps", "are" -> "is"; past forms stay."""
    third = {"are": "is", "were": "was", "have": "has", "do": "does", "go": "goes"}
    if verb in third:
        return third[verb]
    if verb in _PAST_FORMS or verb.endswith(("ed", "ly")):
        return verb
    if verb.endswith(("ch", "sh", "ss", "x", "z", "o")):
        return verb + "es"
    if verb.endswith("y") and verb[-2:-1] not in "aeiou":
        return verb[:-1] + "ies"
    return verb + "s"


def predicate(text: str, names: tuple[str, ...]) -> str:
    """What is said of somebody, starting with a verb, even where the bible leaves subject or verb out."""
    phrase = split_subject(text, names)
    if phrase != text.strip().rstrip(".!"):
        return phrase
    words = phrase.split(" ")
    first = words[0].casefold().rstrip(",")
    index = 1 if first in _UNINFLECTED and len(words) > 1 else 0
    verb = words[index].casefold()
    lowered = phrase if words[0] == "I" else phrase[:1].lower() + phrase[1:]
    if verb.endswith("ing"):
        return "is " + lowered
    third = verb in _IRREGULAR or (
        _THIRD_PERSON_S.match(verb) and verb not in ("his", "this", "always", "alias", "as")
    )
    if third or verb in _PAST_FORMS or verb.endswith("ed"):
        return lowered
    return "is " + lowered


def about(text: str, names: tuple[str, ...]) -> bool:
    """Whether this person is the subject of the sentence, as far as its first words tell."""
    first = text.strip().split(" ", 1)[0].casefold().strip(",.")
    if first.endswith(("'s", "’s")):
        return False
    if first in ("in", "on", "at", "under") and not re.search(r"\b(he|she|they|[A-Z]\w+) [a-z]+", text[3:]):
        return True
    if first in ("he", "she", "they", "it", "i") or any(
        text.strip().casefold().startswith(n.casefold()) for n in names if n
    ):
        return True
    starts_otherwise = bool(
        re.match(
            r"^(the|a|an|his|her|their|there|in|on|at|when|after|before|nobody|somebody|every\w*|no|[a-z]+ (years?|months?|days?|weeks?))\b",
            text.strip().casefold(),
        )
    )
    named = (
        text.strip()[:1].isupper()
        and re.match(r"^[A-Z][a-z]+ [a-z]", text.strip())
        and first not in _PAST_FORMS
        and not first.endswith(("ed", "s", "ly", "ing"))
    )
    return not (starts_otherwise or named)


def forms(
    text: str, names: tuple[str, ...], subject: Subject, *, guard_pronouns: bool = False
) -> dict[str, str]:
    """The sentence as confession (`me`), accusation (`you`) and report (`he`).

    `names` are the ways the bible names this person; the first is used in the report. With `guard_pronouns` only the
    subject is changed, because somebody else in the sentence has the same pronoun.
    """
    if not about(text, names):
        whole = sentence(text)
        return {"me": f"It's true. {whole}", "you": f"It was you. {whole}", "he": whole}
    phrase = predicate(text, names)
    plural = text.strip().casefold().startswith("they ")
    number: Subject = "they" if plural else "he"
    result = {}
    sides: tuple[tuple[str, Person, str], ...] = (("me", "I", "I"), ("you", "you", "You"))
    for key, person, start in sides:
        body = _verb_phrase(phrase, person, number)
        if not guard_pronouns:
            body = swap_pronouns(body, subject, person)
        line = f"{start} {body}"
        line = re.sub(
            r"^(I|You) have (?=\w+(?:ed|en|ept|old|ade|een|one|one|ut|ost|ent|aid|ound)\b)", r"\1've ", line
        )
        line = re.sub(r"^I am ", "I'm ", re.sub(r"^You are ", "You're ", line))
        result[key] = sentence(line)
    report = phrase
    if plural:
        words = phrase.split(" ")
        words[0] = third_person(words[0])
        report = " ".join(words)
    result["he"] = sentence(f"{names[0]} {report}")
    return result


_SUBJECTS = r"(I|you|he|she|it|they|we|that|this|there)"
_PARTICIPLES = (
    "been|had|done|gone|got|seen|said|told|known|left|made|taken|given|kept|thought|heard|found|lost|eaten|forgotten|written|spoken|broken|chosen|driven|"
    "fallen|hidden|stolen|sworn|thrown|torn|worn|begun|brought|bought|caught|taught|felt|meant|met|paid|sent|slept|spent|stood|understood|won|held|sat|become"
)
_BASE_FORMS = (
    "be|have|like|say|go|do|make|take|give|want|need|rather|not|prefer|suggest|ask|tell|know|think|expect|hope|advise|be|see|get|find|keep|leave|help|call|"
    "wait|stay|send|bring|look|try|use|work|write|speak|believe|swear|sooner|love|hate|mind|die|pay|lose|stand|hold|sit|recommend|appreciate"
)
_COPULA_BEFORE = r"(?:a|an|the|not|my|your|his|her|our|their|in|on|at|too|so|very|no|to|all|just|only|what|how|why|where|that|as|about|like|for|from|\w+ing)\b"
_EXPANSIONS = (
    (rf"\b([Cc])an't {_SUBJECTS}\b", r"\1an \2 not"), (rf"\b([Ww])on't {_SUBJECTS}\b", r"\1ill \2 not"),
    (r"\b([Cc])an't\b", r"\1annot"), (r"\b([Ww])on't\b", r"\1ill not"), (r"\b([Ss])han't\b", r"\1hall not"),
    (rf"\b([Ii]s|[Aa]re|[Ww]as|[Ww]ere|[Dd]o|[Dd]oes|[Dd]id|[Hh]ave|[Hh]as|[Cc]ould|[Ww]ould|[Ss]hould|[Mm]ust|[Hh]ad)n't {_SUBJECTS}\b", r"\1 \2 not"),
    (r"\b[Aa]in't\b", "is not"), (r"n't\b", " not"), (r"\bI'm\b", "I am"), (r"\b([Yy]ou|[Tt]hey|[Ww]e)'re\b", r"\1 are"),
    (r"\b(I|[Yy]ou|[Tt]hey|[Ww]e|[Cc]ould|[Ww]ould|[Ss]hould|[Mm]ight|[Mm]ust)'ve\b", r"\1 have"),
    (r"\b(I|[Yy]ou|[Hh]e|[Ss]he|[Ii]t|[Tt]hey|[Ww]e|[Tt]hat|[Tt]here|[Ww]ho)'ll\b", r"\1 will"),
    (r"\b([Hh]e|[Ss]he|[Ii]t|[Tt]hat|[Ww]hat|[Tt]here|[Hh]ere|[Ww]ho)'s (?=(?:been|got|had)\b)", r"\1 has "),
    (rf"\b([Ii]t|[Tt]hat|[Ww]hat|[Ww]ho|[Tt]here|[Hh]ere|[Hh]e|[Ss]he|[Ww]here)'s (?={_COPULA_BEFORE})", r"\1 is "),
    (rf"\b(I|[Yy]ou|[Hh]e|[Ss]he|[Tt]hey|[Ww]e|[Ww]ho)'d (?=(?:better|{_PARTICIPLES}|a|an|the|no|to|only to)\b)", r"\1 had "),
    (rf"\b(I|[Yy]ou|[Hh]e|[Ss]he|[Tt]hey|[Ww]e|[Ii]t|[Tt]hat|[Tt]here|[Ww]ho)'d (?=(?:{_BASE_FORMS})\b)", r"\1 would "),
)  # fmt: skip
"""Only what is certain: where 'd or 's may be had or would, is or has, the contraction stays."""


def expand_contractions(text: str) -> str:
    """Full forms in place of contractions, as a formal speaker would have them."""
    for pattern, replacement in _EXPANSIONS:
        text = re.sub(pattern, replacement, text)
    return text


def tidy(text: str) -> str:
    """Mends what putting words into slots breaks: spaces, doubled stops, a/an, the capital at the start."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r"\b([Aa]) (?=(?:[aeiAEI]|o(?!ne\b|nce\b)|O|u(?!n[ai]|s[aeiu]|t|ro|ku|bi)))", r"\1n ", text)
    text = re.sub(r"\s+([,.?!;:])", r"\1", text)
    text = re.sub(r"([.?!])\.(?!\.)(?<!\.\.\.)", lambda m: m.group(0) if "..." in text else m.group(1), text)
    for index, ch in enumerate(text):
        if ch.isalpha():
            before = text[:index]
            return text if before.strip("\"'“‘(") else before + ch.upper() + text[index + 1 :]
        if ch.isdigit():
            return text
    return text

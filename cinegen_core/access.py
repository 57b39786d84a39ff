"""Who may do what: three roles, and what each of them is for."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import Field

from cinegen_core.settings import Settings
from cinegen_core.story.bible import clean_text
from cinegen_core.story.model import Noun

Role = Literal["writer", "analyst", "operator"]
ROLES: tuple[Role, ...] = get_args(Role)

LONGEST_NAME = 200
"""Characters of a name that are shown."""

LONGEST_ID = 255
"""Characters of a `sub` at most (OpenID Connect Core 1.0, section 2)."""


OWN_NAMES: Mapping[str, Role] = MappingProxyType(dict(zip(ROLES, ROLES, strict=True)))
"""Each role by its own name."""


class Action(StrEnum):
    """What the studio lets people do; the value is it in words, after "may"."""

    READ = "read episodes"
    WRITE = "have episodes written"
    REVISE = "revise episodes"
    STOP = "stop what is being written"
    RATE = "rate episodes"
    VOTE = "vote in comparisons"
    COMPARE = "compare ways of writing"
    EXPORT_EPISODES = "take episodes away"
    EXPLORE = "look at figures"
    EXPORT_FIGURES = "take figures away"
    CHANGE_FLAGS = "change flags"
    MOVE_ROLLOUT = "move rollouts"
    ROLL_BACK = "roll back flags"
    EMERGENCY = "begin and end an emergency"
    ACKNOWLEDGE = "acknowledge alerts"
    SILENCE = "silence alerts"
    CLEAR_RESULTS = "clear kept answers"
    FORGET = "remove what is recorded"


_ANYBODY: frozenset[Role] = frozenset(ROLES)
_READERS: frozenset[Role] = frozenset(("writer", "analyst"))
_WRITERS: frozenset[Role] = frozenset(("writer",))
_WATCHERS: frozenset[Role] = frozenset(("analyst", "operator"))
_OPERATORS: frozenset[Role] = frozenset(("operator",))

ALLOWED: Mapping[Action, frozenset[Role]] = MappingProxyType(
    {
        Action.READ: _ANYBODY,
        Action.WRITE: _WRITERS,
        Action.REVISE: _WRITERS,
        Action.STOP: frozenset(("writer", "operator")),
        Action.RATE: _READERS,
        Action.VOTE: _READERS,
        Action.COMPARE: _READERS,
        Action.EXPORT_EPISODES: _READERS,
        Action.EXPLORE: _WATCHERS,
        Action.EXPORT_FIGURES: _WATCHERS,
        Action.CHANGE_FLAGS: _OPERATORS,
        Action.MOVE_ROLLOUT: _OPERATORS,
        Action.ROLL_BACK: _OPERATORS,
        Action.EMERGENCY: _OPERATORS,
        Action.ACKNOWLEDGE: _OPERATORS,
        Action.SILENCE: _OPERATORS,
        Action.CLEAR_RESULTS: _OPERATORS,
        Action.FORGET: _OPERATORS,
    }
)
"""Which roles may do each; one of them is enough."""


class Person(Noun):
    """Somebody at the studio. `id` stays the same, `name` is what others see; without a role, nothing is allowed."""

    id: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(min_length=1)]
    roles: frozenset[Role] = frozenset()


class NotAllowedError(Exception):
    """Somebody may not do this. The message says so kindly, and who may."""

    def __init__(self, person: Person, action: Action) -> None:
        self.person, self.action = person, action
        may = [role for role in ROLES if role in ALLOWED[action]]
        if person.roles:
            said = f"{person.name}, this is not yours to do: to {action} takes the role {_either(may)}."
        else:
            said = (
                f"{person.name}, you are signed in, but have no role in this studio yet; "
                f"to {action} takes the role {_either(may)}."
            )
        super().__init__(f"{said} Ask whoever manages sign-in here to give it to you.")


class ClaimsError(ValueError):
    """What the sign-in service says about somebody cannot be used. The message says what is missing."""


class OpenStudioError(ValueError):
    """The studio would be open to anybody who can reach it. The message says what to do."""


def allowed(person: Person, action: Action) -> bool:
    return not person.roles.isdisjoint(ALLOWED[action])


def require(person: Person, action: Action) -> None:
    """Returns if the person may do it. Raises `NotAllowedError`."""
    if not allowed(person, action):
        raise NotAllowedError(person, action)


def person_from_claims(
    claims: Mapping[str, object], *, role_claim: str = "roles", role_names: Mapping[str, Role] = OWN_NAMES
) -> Person:
    """Whoever an OpenID Connect ID token is about. The token has been verified before: this only reads.

    `role_claim` is the claim's own name, or a path with dots to one within others ("realm_access.roles"). It holds a list, or a text
    with spaces or commas between roles; `role_names` say which role each stands for, whatever the case of its letters. What is
    unknown there is ignored, and without a role that is known the person has none. The id is `sub`; the name is the first there is
    of `name`, `preferred_username`, `email` and the id. Raises `ClaimsError` where `sub` is missing or empty.
    """
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject.strip() or len(subject) > LONGEST_ID:
        raise ClaimsError(
            "The sign-in service does not say who this is (the claim `sub` is missing or no text). "
            "Sign in again; if that does not help, whoever runs the studio has to ask for the scope `openid`."
        )
    known = {name.casefold(): role for name, role in role_names.items()}
    given = (name.strip().casefold() for name in _texts(_found(claims, role_claim)))
    named = (_shown(claims.get(key)) for key in ("name", "preferred_username", "email", "sub"))
    return Person(
        id=subject,
        name=next(filter(None, named), "Somebody"),
        roles=frozenset(known[name] for name in given if name in known),
    )


FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip")
"""Headers, in small letters, by which a proxy says that it asks for somebody else."""


def single_user(settings: Settings, *, listens_on: str, headers: Mapping[str, str] | None = None) -> Person:
    """Whoever sits at a studio where nobody signs in, with every role; only for one that listens on a loopback address.

    Raises `OpenStudioError` for any other address, also for a name that is not `localhost`, and by the `headers` of what is asked:
    where a proxy on this computer asks for somebody else, or a page elsewhere has made its own name lead here.
    """
    given = {name.casefold(): value for name, value in (headers or {}).items()}
    if any(name in given for name in FORWARDED):
        raise OpenStudioError(
            "This comes from another computer, through a proxy, and nobody signs in here. Set up sign-in, or open the studio on its "
            "own computer."
        )
    host = given.get("host", "")
    if host and not _is_loopback(_without_port(host)):
        raise OpenStudioError(
            f"The studio was asked for by the name {host[:200]}, and nobody signs in here. Set up sign-in, or open it as "
            "http://127.0.0.1 with its port, on its own computer."
        )
    if not _is_loopback(listens_on):
        raise OpenStudioError(
            f"The studio listens on {listens_on or 'every address'}, where others can reach it, and nobody signs in. "
            "Set up sign-in, or let it listen on 127.0.0.1."
        )
    return Person(
        id=settings.install_id or "single-user",
        name=_shown(settings.operator) or "You",
        roles=frozenset(ROLES),
    )


def _without_port(host: str) -> str:
    name, colon, port = host.rpartition(":")
    return name if colon and port.isdigit() and (":" not in name or name.endswith("]")) else host


def _is_loopback(address: str) -> bool:
    if address.casefold() == "localhost":
        return True
    try:
        return ipaddress.ip_address(address.strip("[]")).is_loopback
    except ValueError:
        return False


def _found(claims: Mapping[str, object], path: str) -> object:
    """By its own name first: the names of some services' claims are addresses, with dots in them."""
    if path in claims:
        return claims[path]
    here: object = claims
    for part in path.split("."):
        if not isinstance(here, Mapping):
            return None
        here = here.get(part)
    return here


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str):
        return value.replace(",", " ").split()
    if isinstance(value, list | tuple | set | frozenset):
        return [item for item in value if isinstance(item, str)]
    return ()


def _shown(value: object) -> str:
    """A name as it may stand on a page: without line breaks, control and direction marks; empty where it cannot be shown."""
    if not isinstance(value, str):
        return ""
    try:
        return str(clean_text(value))[:LONGEST_NAME].strip()
    except ValueError:
        return ""


def _either(roles: Iterable[str]) -> str:
    *others, last = roles
    return f"{', '.join(others)} or {last}" if others else last

"""People may do what their roles are for, and are told kindly where they may not."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cinegen_core.access import (
    ALLOWED,
    LONGEST_NAME,
    ROLES,
    Action,
    ClaimsError,
    NotAllowedError,
    OpenStudioError,
    Person,
    Role,
    allowed,
    person_from_claims,
    require,
    single_user,
)
from cinegen_core.settings import Settings


def with_roles(*roles: Role) -> Person:
    return Person(id="u1", name="Ada", roles=frozenset(roles))


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("writer", (Action.READ, Action.WRITE, Action.REVISE, Action.VOTE, Action.COMPARE, Action.EXPORT_EPISODES),
         (Action.EXPLORE, Action.CHANGE_FLAGS, Action.ROLL_BACK, Action.EMERGENCY, Action.ACKNOWLEDGE, Action.SILENCE)),
        ("analyst", (Action.READ, Action.EXPLORE, Action.EXPORT_FIGURES, Action.COMPARE, Action.VOTE),
         (Action.WRITE, Action.REVISE, Action.CHANGE_FLAGS, Action.ROLL_BACK, Action.EMERGENCY, Action.SILENCE)),
        ("operator", (Action.READ, Action.EXPLORE, Action.CHANGE_FLAGS, Action.MOVE_ROLLOUT, Action.ROLL_BACK,
                      Action.EMERGENCY, Action.ACKNOWLEDGE, Action.SILENCE, Action.STOP, Action.FORGET),
         (Action.WRITE, Action.REVISE, Action.VOTE, Action.RATE)),
    ],
)  # fmt: skip
def test_each_role_may_do_what_it_is_for(
    role: Role, may: tuple[Action, ...], may_not: tuple[Action, ...]
) -> None:
    for action in may:
        require(with_roles(role), action)
    for action in may_not:
        with pytest.raises(NotAllowedError):
            require(with_roles(role), action)


def test_every_action_is_somebodys_to_do() -> None:
    assert set(ALLOWED) == set(Action)
    assert all(ALLOWED.values())


def test_a_refusal_says_who_may() -> None:
    with pytest.raises(NotAllowedError) as refused:
        require(with_roles("writer"), Action.EXPLORE)
    assert str(refused.value) == (
        "Ada, this is not yours to do: to look at figures takes the role analyst or operator. "
        "Ask whoever manages sign-in here to give it to you."
    )
    assert (refused.value.person.id, refused.value.action) == ("u1", Action.EXPLORE)


def test_somebody_without_a_role_is_told_what_is_missing() -> None:
    with pytest.raises(
        NotAllowedError,
        match=r"Ada, you are signed in, but have no role in this studio yet; to read episodes takes the role writer, analyst or operator\.",
    ):
        require(with_roles(), Action.READ)


@settings(deadline=None)
@given(st.frozensets(st.sampled_from(ROLES)), st.frozensets(st.sampled_from(ROLES)))
def test_another_role_takes_nothing_away_and_gives_what_it_has(
    some: frozenset[Role], more: frozenset[Role]
) -> None:
    for action in Action:
        together = allowed(with_roles(*some, *more), action)
        assert together == (allowed(with_roles(*some), action) or allowed(with_roles(*more), action))


@pytest.mark.parametrize(
    ("claims", "options"),
    [
        ({"roles": ["writer", "operator"]}, {}),
        ({"roles": "Writer, OPERATOR"}, {}),
        ({"roles": "writer operator dancer"}, {}),
        ({"groups": ["writer", 7, None, "operator"]}, {"role_claim": "groups"}),
        ({"realm_access": {"roles": ["writer", "operator"]}}, {"role_claim": "realm_access.roles"}),
        (
            {"https://studio.example/roles": ["writer", "operator"]},
            {"role_claim": "https://studio.example/roles"},
        ),
        ({"roles": ["Room", "on-call"]}, {"role_names": {"room": "writer", "On-Call": "operator"}}),
    ],
)
def test_roles_are_found_wherever_the_sign_in_service_puts_them(
    claims: dict[str, object], options: dict[str, object]
) -> None:
    person = person_from_claims({"sub": "u1", **claims}, **options)  # type: ignore[arg-type]
    assert person.roles == {"writer", "operator"}


@pytest.mark.parametrize(
    "claims", [{}, {"roles": None}, {"roles": 3}, {"roles": {"writer": True}}, {"roles": ["admin"]}]
)
def test_without_a_role_that_is_known_there_is_none(claims: dict[str, object]) -> None:
    assert person_from_claims({"sub": "u1", **claims}).roles == frozenset()


def test_a_person_has_the_name_that_others_know() -> None:
    claims = {"sub": "u1", "email": "ada@studio.example", "preferred_username": "ada", "name": "Ada Byron"}
    assert person_from_claims(claims).name == "Ada Byron"
    assert person_from_claims({**claims, "name": " "}).name == "ada"
    assert person_from_claims({"sub": "u1"}).name == "u1"
    disguised = person_from_claims({"sub": "u1", "name": "Ada\u202e\n\x00 Byron" + "!" * 500}).name
    assert disguised.startswith("Ada Byron!")
    assert len(disguised) == LONGEST_NAME


@pytest.mark.parametrize("claims", [{}, {"sub": ""}, {"sub": "  "}, {"sub": 7}, {"sub": "x" * 256}])
def test_nobody_in_particular_is_not_let_in(claims: dict[str, object]) -> None:
    with pytest.raises(ClaimsError, match="does not say who this is"):
        person_from_claims({"roles": ["operator"], **claims})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(ROLES),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from(("sub", "name", "email", "roles", "a", "a.b")), JSON, max_size=6),
    st.sampled_from(("roles", "a.b", "a", "", ".")),
)
def test_whatever_claims_say_nobody_has_a_role_that_is_not_written_there(
    claims: dict[str, object], role_claim: str
) -> None:
    try:
        person = person_from_claims(claims, role_claim=role_claim)
    except ClaimsError:
        return
    assert person.id == claims["sub"]
    assert person.name
    written = repr(claims).casefold()
    assert all(role in written for role in person.roles)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_who_sits_at_a_studio_of_ones_own_may_do_everything(address: str) -> None:
    person = single_user(Settings(install_id="abc", operator="Ada"), listens_on=address)
    assert (person.id, person.name) == ("abc", "Ada")
    for action in Action:
        require(person, action)
    assert single_user(Settings(), listens_on=address).name == "You"


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "", "192.168.1.4", "studio.example", "localhost.example"],  # noqa: S104 (refused)
)
def test_a_studio_that_others_can_reach_has_no_single_user(address: str) -> None:
    with pytest.raises(OpenStudioError, match="where others can reach it, and nobody signs in"):
        single_user(Settings(), listens_on=address)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "127.0.0.1:8501", "X-Forwarded-For": "192.0.2.7"},
        {"Host": "localhost", "Forwarded": "for=192.0.2.7"},
        {"Host": "localhost:8501", "x-real-ip": "192.0.2.7"},
        {"Host": "studio.example"},
        {"Host": "studio.example:8501"},
        {"Host": "[2001:db8::1]:8501"},
        {"Host": "192.0.2.7"},
    ],
)
def test_nobody_elsewhere_is_taken_for_whoever_sits_at_the_studio(headers: dict[str, str]) -> None:
    with pytest.raises(OpenStudioError, match="nobody signs in here"):
        single_user(Settings(), listens_on="127.0.0.1", headers=headers)


@pytest.mark.parametrize(
    "host", ["127.0.0.1:8501", "localhost:8501", "LOCALHOST", "[::1]:8501", "[::1]", "127.0.0.1"]
)
def test_whoever_sits_at_the_studio_is_known_by_its_own_address(host: str) -> None:
    assert single_user(Settings(), listens_on="127.0.0.1", headers={"Host": host}).roles == set(ROLES)

"""Takes over flags that were kept in Unleash, as its servers give them to its clients
(https://docs.getunleash.io/reference/api/unleash/get-all-client-features): everybody stays in or out, and in the variant."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from cinegen_core.flags.evaluate import variants_of
from cinegen_core.flags.model import Context, Dependency, Flag, Percent, Strategy, Variant


class UnleashError(ValueError):
    """Features that cannot be taken over as they are. The message names each part that is in the way, a line each."""


def from_unleash(features: Iterable[Mapping[str, Any]]) -> dict[str, Flag]:
    """The flags by key. Raises `UnleashError` for what has no equal here: other strategies and operators, segments, overrides.

    In Unleash a flag is off for everybody if one that it depends on depends on others itself. Here it would not be, so that it
    comes over as a flag that no strategy takes anybody into; its description says so.
    """
    flags: dict[str, Flag] = {}
    problems: list[str] = []
    for number, feature in enumerate(features):
        name = feature.get("name", f"number {number + 1}")
        try:
            flag = _Feature.model_validate(feature).flag()
            flags[flag.key] = flag
        except ValidationError as errors:
            for error in errors.errors():
                where = ".".join(str(step) for step in error["loc"])
                wrong = "is not supported" if error["type"] == "extra_forbidden" else error["msg"]
                problems.append(f"feature {name}: {where}: {wrong} (it is {error['input']!r})")
        except UnleashError as error:
            problems.append(f"feature {name}: {error}")
    if problems:
        raise UnleashError("\n".join(problems))
    return {key: _as_off_as_there(flag, flags) for key, flag in flags.items()}


def context_from_unleash(context: Mapping[str, Any]) -> Context:
    """The same person here. Fields other than the user's and session's id are attributes of the same name, as properties are."""
    fields = {**(context.get("properties") or {}), **context}
    fields.pop("properties", None)
    known = {name: str(value) for name, value in fields.items() if value is not None}
    user, session = known.pop("userId", None), known.pop("sessionId", None)
    return Context(user=user, session=session, attributes=known)


def _as_off_as_there(flag: Flag, flags: Mapping[str, Flag]) -> Flag:
    chained = [one.flag for one in flag.depends_on if one.flag in flags and flags[one.flag].depends_on]
    if not chained:
        return flag
    note = f"(off for everybody, as it was in Unleash: {chained[0]} depends on others itself)"
    return flag.model_copy(update={"strategies": (), "description": f"{flag.description} {note}".strip()})


def _field(name: str) -> str:
    """What a field of the context is called here."""
    if name in ("user", "session"):
        raise UnleashError(f"the context's field {name} has the name of another here: rename it")
    return {"userId": "user", "sessionId": "session"}.get(name, name)


class _Part(BaseModel):
    """What is an `object` here does not bear on who is in. What is not named at all might, and is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel)


class _Constraint(_Part):
    context_name: str
    operator: Literal["IN"]
    values: tuple[str, ...] = ()
    inverted: Literal[False] = False
    case_insensitive: Literal[False] = False
    value: object = None


class _Payload(_Part):
    type: str
    value: str


class _Variant(_Part):
    name: str
    weight: int
    payload: _Payload | None = None
    stickiness: str = ""
    weight_type: object = None
    overrides: Annotated[tuple[object, ...], Field(max_length=0)] = ()

    def variant(self, stickiness: str) -> Variant:
        payload = self.payload.value if self.payload else ""
        return Variant(name=self.name, weight=self.weight, payload=payload, stickiness=stickiness)


class _Parameters(_Part):
    rollout: Percent | None = None
    percentage: Percent | None = None
    group_id: Annotated[str, Field(min_length=1)] | None = None
    stickiness: Annotated[str, Field(min_length=1)] = "default"


class _Strategy(_Part):
    name: Literal["default", "gradualRolloutUserId", "gradualRolloutSessionId", "flexibleRollout"]
    parameters: _Parameters = _Parameters()
    constraints: tuple[_Constraint, ...] = ()
    variants: tuple[_Variant, ...] = ()
    segments: Annotated[tuple[object, ...], Field(max_length=0)] = ()
    disabled: Literal[False] = False
    id: object = None
    title: object = None
    sort_order: object = None

    def strategy(self) -> Strategy:
        given = self.parameters
        stickiness, percent = given.stickiness, given.rollout
        match self.name:
            case "default":
                stickiness, percent = "default", 100
            case "gradualRolloutUserId":
                stickiness, percent = "userId", given.percentage
            case "gradualRolloutSessionId":
                stickiness, percent = "sessionId", given.percentage
        if percent is None:
            raise UnleashError(f"strategy {self.name} has no percentage")
        if given.group_id is None and self.name.startswith("gradual"):
            raise UnleashError(f"strategy {self.name} has no groupId, and so takes nobody: leave it out")
        return Strategy(
            percent=percent,
            group=given.group_id or "",
            stickiness=_field(stickiness),
            where=self._where(),
            # A strategy's variants stick to what its parameters say, whatever they say themselves.
            variants=tuple(variant.variant(_field(given.stickiness)) for variant in self.variants),
        )

    def _where(self) -> dict[str, tuple[str, ...]]:
        where: dict[str, tuple[str, ...]] = {}
        for constraint in self.constraints:
            name = _field(constraint.context_name)
            values = dict.fromkeys(where.get(name, constraint.values))
            where[name] = tuple(value for value in values if value in constraint.values)
        return where


class _Dependency(_Part):
    feature: str
    enabled: bool = True
    variants: tuple[str, ...] = ()

    def dependency(self) -> Dependency:
        if self.variants and not self.enabled:
            raise UnleashError(f"needs {self.feature} both off and in a variant: leave out the variants")
        return Dependency(flag=self.feature, enabled=self.enabled, variants=self.variants)


class _Feature(_Part):
    name: str
    description: str | None = None
    enabled: bool
    strategies: tuple[_Strategy, ...] = ()
    variants: tuple[_Variant, ...] = ()
    dependencies: tuple[_Dependency, ...] = ()
    type: object = None
    project: object = None
    stale: object = None
    impression_data: object = None
    created_at: object = None
    last_seen_at: object = None

    def flag(self) -> Flag:
        flag = Flag(
            key=self.name,
            description=self.description or "",
            enabled=self.enabled,
            depends_on=tuple(one.dependency() for one in self.dependencies),
            strategies=tuple(one.strategy() for one in self.strategies) or (Strategy(),),
            # Other than here, a flag's variants do not follow the strategy.
            variants=tuple(one.variant(_field(one.stickiness or "default")) for one in self.variants),
        )
        payloads: dict[str, str] = {}
        for variant in variants_of(flag):
            if payloads.setdefault(variant.name, variant.payload) != variant.payload:
                raise UnleashError(
                    f"two variants {variant.name} have different payloads: give one another name"
                )
        return flag

"""Who serves language models: a list in the order to ask them, from a file or from the environment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, ValidationError

from cinegen_core.story.model import Noun

Structured = Literal["schema", "json", "text"]
"""How a server is held to a form: by a JSON schema, by JSON mode, or only by being asked."""

OPENAI = "https://api.openai.com/v1"


class ProviderError(ValueError):
    """A provider cannot be used as it is set up. The message names the file or variable, the key, and the fix."""


def _address(value: object) -> object:
    if not isinstance(value, str):
        return value
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("is no address; it should look like http://127.0.0.1:8080/v1")
    if parts.username or parts.password:
        raise ValueError(
            "holds a user or password; name the variable that holds the key in `key_env` instead"
        )
    return value.rstrip("/")


Dollars = Annotated[float, Field(ge=0)]


class Prices(Noun):
    """US dollars per million tokens. `cached` is for prompt tokens that the server had in its prefix cache."""

    prompt: Dollars = 0.0
    cached: Dollars | None = None
    completion: Dollars = 0.0

    def cost(self, prompt: int, cached: int, completion: int) -> float:
        """US dollars for one call; `cached` tokens are part of `prompt`."""
        for_cached = self.prompt if self.cached is None else self.cached
        return ((prompt - cached) * self.prompt + cached * for_cached + completion * self.completion) / 1e6


class Provider(Noun):
    """One model on one server.

    `window` is the number of tokens that the model takes, answer included; left out, it is not checked. `answer` is
    the most tokens of an episode, `directive` of an engine's answer. `at_once` calls go out together. Seconds: to `connect`,
    to the `first_token` of a streamed answer, between two pieces of it (`stall`), and for a whole `reply` that is
    not streamed. `structured` "auto" begins with a JSON schema and steps down where the server refuses it; servers that
    put the schema in front of the prompt share more of their prefix cache with "json". `text_limit` and `list_limit` hold a
    small local model, which might never end an answer, to texts of so many characters and lists of so many items (0: no
    bound), and to the bible's people. `omit` names parameters that the
    server does not know ("temperature", "seed").
    """

    name: Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    base_url: Annotated[str, BeforeValidator(_address)] = OPENAI
    model: Annotated[str, Field(min_length=1)]
    key_env: str = ""
    key: SecretStr = Field(default=SecretStr(""), exclude=True, repr=False)
    prices: Prices = Prices()
    window: Annotated[int, Field(ge=512)] | None = None
    answer: Annotated[int, Field(ge=64)] = 6000
    directive: Annotated[int, Field(ge=64)] = 1200
    at_once: Annotated[int, Field(ge=1, le=64)] = 19
    connect: Annotated[float, Field(gt=0)] = 5.0
    first_token: Annotated[float, Field(gt=0)] = 20.0
    stall: Annotated[float, Field(gt=0)] = 10.0
    reply: Annotated[float, Field(gt=0)] = 30.0
    structured: Structured | Literal["auto"] = "auto"
    text_limit: Annotated[int, Field(ge=0)] = 0
    list_limit: Annotated[int, Field(ge=0)] = 0
    limit: Literal["max_tokens", "max_completion_tokens"] | None = None
    omit: frozenset[str] = frozenset()

    @property
    def limit_parameter(self) -> str:
        """What the server calls the most tokens to answer with; OpenAI's own has its newer name."""
        return self.limit or ("max_completion_tokens" if self.base_url == OPENAI else "max_tokens")


def providers_from(environ: Mapping[str, str], file: Path | None) -> tuple[Provider, ...]:
    """The providers in order: those of `file`, or else the one that CINEGEN_MODEL names. Empty: none is set up.

    Raises `ProviderError`.
    """
    if file is not None:
        return _from_file(file, environ)
    model = environ.get("CINEGEN_MODEL", "")
    if not model:
        return ()
    base_url = environ.get("OPENAI_BASE_URL") or OPENAI
    key = environ.get("OPENAI_API_KEY", "")
    if base_url == OPENAI and not key:
        raise ProviderError(
            "CINEGEN_MODEL names a model of OpenAI's, and OPENAI_API_KEY holds no key. Set it, or set OPENAI_BASE_URL."
        )
    values = {"name": "primary", "base_url": base_url, "model": model, "key_env": "OPENAI_API_KEY"}
    try:
        return (Provider.model_validate({**values, "key": SecretStr(key)}),)
    except ValidationError as error:
        raise ProviderError(f"OPENAI_BASE_URL: {_words(error)}") from error


def _from_file(file: Path, environ: Mapping[str, str]) -> tuple[Provider, ...]:
    try:
        tables = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProviderError(f"{file}: the providers cannot be read ({error.strerror}).") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProviderError(f"{file}: this is not TOML ({error}).") from error
    rows = tables.get("provider")
    if not isinstance(rows, list) or not rows or tables.keys() != {"provider"}:
        raise ProviderError(
            f"{file}: give each provider a table that begins with [[provider]], and nothing else."
        )
    found: list[Provider] = []
    for number, row in enumerate(rows, start=1):
        where = f"{file}: provider {number}"
        if isinstance(row, dict) and "key" in row:
            raise ProviderError(
                f"{where}: keys do not belong in a file; name the variable that holds it in `key_env`."
            )
        try:
            provider = Provider.model_validate(row)
        except ValidationError as error:
            raise ProviderError(f"{where}: {_words(error)}") from error
        if provider.name in {other.name for other in found} or provider.name == "embedded":
            raise ProviderError(f"{where}: the name {provider.name!r} is taken; choose another.")
        key = environ.get(provider.key_env, "") if provider.key_env else ""
        if provider.key_env and not key:
            raise ProviderError(
                f"{where} ({provider.name}): the variable {provider.key_env} holds no key. Set it."
            )
        found.append(provider.model_copy(update={"key": SecretStr(key)}))
    return tuple(found)


def _words(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {str(first['msg']).removeprefix('Value error, ')}."

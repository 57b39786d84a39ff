"""What a person may set about a studio: where its data is, how long a request may take, where it listens."""

from __future__ import annotations

import os
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import platformdirs
from pydantic import Field, ValidationError

from cinegen_core.story.model import Noun
from cinegen_core.writers.model.provider import Provider, ProviderError, providers_from

PREFIX = "CINEGEN_"


class SettingsError(ValueError):
    """A setting cannot have the value it was given. The message names it as given: CINEGEN_PORT, --port."""


def _user_data() -> Path:
    return Path(platformdirs.user_data_dir("cinegen-studio", appauthor=False))


def _flags_file() -> Path:
    """Beside the program in a checkout; where the installer puts it otherwise."""
    here = Path(__file__).parents[1] / "flags.toml"
    return here if here.exists() else Path(sys.prefix) / "share" / "cinegen" / "flags.toml"


class Settings(Noun):
    """All of it. Every field can be set in the environment: `data_dir` as CINEGEN_DATA_DIR, and so on.

    `providers` come from the file that CINEGEN_PROVIDERS names, or from CINEGEN_MODEL, OPENAI_BASE_URL and OPENAI_API_KEY.
    """

    data_dir: Path = Field(default_factory=_user_data, description="the folder that seasons are kept in")
    budget_seconds: Annotated[float, Field(gt=0, le=3600)] = 120.0
    port: Annotated[int, Field(ge=1, le=65535)] = 8501
    jobs: Annotated[int, Field(ge=1, le=64, description="episodes written at the same time")] = 4
    cache_megabytes: Annotated[
        int, Field(ge=0, le=100_000, description="disk for answers kept; 0 keeps none")
    ] = 256
    flags_file: Path = Field(
        default_factory=_flags_file, description="the file that declares the feature flags"
    )
    database_url: str = Field(
        default="",
        repr=False,
        description="where flags' journal and outcomes are kept; empty: a file in data_dir",
    )
    environment: Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$")] = "production"
    beta: bool = Field(default=False, description="whether whoever uses this installation is a beta tester")
    install_id: str = Field(
        default="", description="stands for the user where nobody signs in; made up once and kept"
    )
    plain_users: bool = Field(
        default=False, description="whether events keep user ids as they are, not as a keyed hash"
    )
    user_key: str = Field(
        default="",
        repr=False,
        description="keys the hash that stands for users; studios that share a database share it; empty: the install id",
    )
    retention_days: Annotated[
        int, Field(ge=0, le=36_500, description="how long events are kept; 0 keeps them for good")
    ] = 0
    webhook_url: str = Field(
        default="", repr=False, description="where alerts are sent to, as JSON; empty: nowhere"
    )
    webhook_secret: str = Field(
        default="", repr=False, description="signs what is sent there (HMAC-SHA256 over the body)"
    )
    notify_urls: str = Field(
        default="",
        repr=False,
        description="where alerts are sent to through Apprise, addresses with spaces between them; needs the extra `notify`",
    )
    api_token: str = Field(
        default="", repr=False, description="who may change something over HTTP; empty: nobody"
    )
    role_claim: str = Field(
        default="roles",
        description="the claim of whoever signs in that holds their roles: writer, analyst, operator; dots lead into others",
    )
    operator: str = Field(default="", description="recorded with every change of a flag")
    automatic_emergency: bool = Field(
        default=True, description="whether a health score below 60 puts the studio into emergency mode"
    )
    providers: tuple[Provider, ...] = Field(
        default=(),
        description="who serves language models, in the order to ask them; none: the embedded writer",
    )

    def with_install_id(self) -> Settings:
        """With the random id of this installation, read from the data folder, or made up and kept there if there is none."""
        file = self.data_dir / "install-id"
        try:
            self.data_dir.mkdir(parents=True, exist_ok=True)
            if not file.exists():
                # It keys what stands for users in the events, so nobody else is to read it.
                with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT, 0o600), "w", encoding="ascii") as made:
                    made.write(uuid.uuid4().hex + "\n")
            found = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(
                f"{file}: the id of this installation cannot be kept ({error}). Set CINEGEN_INSTALL_ID."
            ) from error
        return self.model_copy(update={"install_id": found})

    @classmethod
    def load(cls, environ: Mapping[str, str], **arguments: Any) -> Settings:
        """From the environment; `arguments` that are not None go before it. Raises `SettingsError`."""
        values: dict[str, Any] = {}
        origin: dict[str, str] = {}
        for name in cls.model_fields.keys() - {"providers"}:
            variable = PREFIX + name.upper()
            if environ.get(variable):
                values[name], origin[name] = environ[variable], variable
            if arguments.get(name) is not None:
                values[name], origin[name] = arguments[name], "--" + name.replace("_", "-")
        unknown = sorted(arguments.keys() - cls.model_fields.keys())
        if unknown:
            raise SettingsError(f"There is no setting {unknown[0]!r}.")
        file = environ.get(PREFIX + "PROVIDERS")
        if arguments.get("providers") is None:
            try:
                values["providers"] = providers_from(environ, Path(file) if file else None)
            except ProviderError as error:
                raise SettingsError(str(error)) from error
        else:
            values["providers"] = arguments["providers"]
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            found = error.errors(include_url=False)[0]
            name = str(found["loc"][0])
            raise SettingsError(f"{origin[name]} is {values[name]!r}: {found['msg']}.") from error

"""The operator's name where nobody signs in: asked for once, and kept beside the data."""

from __future__ import annotations

from pathlib import Path

from cinegen_core.settings import Settings


class NameNotKeptError(Exception):
    """The name cannot be read or kept. The message says where, and what to do."""


def name_of(settings: Settings) -> str:
    """As the settings say, or as it was given first; empty where nobody has said it yet. Raises `NameNotKeptError`."""
    if settings.operator.strip():
        return settings.operator.strip()
    file = _file(settings)
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise NameNotKeptError(
            f"{file}: the operator's name cannot be read ({error}). Set CINEGEN_OPERATOR."
        ) from error


def remember(settings: Settings, name: str) -> None:
    """Keeps a name for the next time. Raises `NameNotKeptError`."""
    file = _file(settings)
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(name.strip() + "\n", encoding="utf-8")
    except OSError as error:
        raise NameNotKeptError(
            f"{file}: the operator's name cannot be kept ({error.strerror}). Set CINEGEN_OPERATOR."
        ) from error


def _file(settings: Settings) -> Path:
    return Path(settings.data_dir) / "operator"

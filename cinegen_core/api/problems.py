"""What is answered instead of what was asked for."""

from __future__ import annotations

import http
import math
from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cinegen_core.flags.control import LatchedError
from cinegen_core.flags.journal import StaleVersionError
from cinegen_core.flags.model import Change
from cinegen_core.story.load import explain
from cinegen_core.story.model import Noun
from cinegen_core.story.source import Source

RETRY_SECONDS = 5


class FieldProblem(Noun):
    """One thing that is wrong with a request: `storyBible.characters[1].want`, what, and what to do."""

    field: str
    what: str
    fix: str = ""


class ProblemDetails(Noun):
    """RFC 9457. `type` is "urn:cinegen:problem:" and a name; `known` lists what there is where something unknown was asked for,
    `newer` the changes since the version that a command was decided from, or the one that forbids it."""

    type: str
    title: str
    status: int
    detail: str
    errors: tuple[FieldProblem, ...] = ()
    known: tuple[str, ...] = ()
    newer: tuple[Change, ...] = ()


class RefusalError(Exception):
    """What is answered instead of what was asked for."""

    def __init__(
        self,
        status: int,
        name: str,
        detail: str,
        *,
        errors: Sequence[FieldProblem] = (),
        known: Sequence[str] = (),
        newer: Sequence[Change] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.headers = dict(headers or {})
        self.problem = ProblemDetails(
            type=f"urn:cinegen:problem:{name}",
            title=http.HTTPStatus(status).phrase,
            status=status,
            detail=detail,
            errors=tuple(errors),
            known=tuple(known),
            newer=tuple(newer),
        )

    @property
    def response(self) -> Response:
        return Response(
            self.problem.model_dump_json(exclude_defaults=True),
            self.problem.status,
            self.headers,
            "application/problem+json",
        )


def again(status: int, name: str, detail: str, seconds: float = RETRY_SECONDS) -> RefusalError:
    """A refusal that time may lift."""
    return RefusalError(status, name, detail, headers={"Retry-After": str(max(1, math.ceil(seconds)))})


def fields_of(error: ValidationError, source: Source) -> list[FieldProblem]:
    problems = explain(error, source, source.data, given=lambda path: path)
    return [FieldProblem(field=one.key, what=one.what, fix=one.fix) for one in problems]


def wrong(errors: Sequence[FieldProblem]) -> RefusalError:
    said = "; ".join(f"{one.field}: {one.what}" if one.field else one.what for one in errors[:5])
    more = f"; and {len(errors) - 5} more" if len(errors) > 5 else ""
    return RefusalError(422, "invalid", f"{said}{more}.", errors=errors)


def refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return error.response


def misled(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    root = str(request.scope.get("root_path", ""))
    if error.status_code == 404:
        words = f"There is nothing here. GET {root}/openapi.json lists what there is."
        return RefusalError(404, "not-found", words).response
    if error.status_code == 405:
        allowed = ", ".join(sorted((error.headers or {}).get("Allow", "").split(", ")))
        words = f"{request.method} is not possible here, but {allowed} is."
        return RefusalError(405, "wrong-method", words, headers={"Allow": allowed}).response
    return RefusalError(error.status_code, "refused", error.detail, headers=error.headers).response


def stale(request: Request, error: Exception) -> Response:
    assert isinstance(error, StaleVersionError)
    return RefusalError(409, "stale-version", str(error), newer=error.newer).response


def forbidden_by_state(request: Request, error: Exception) -> Response:
    if isinstance(error, LatchedError):
        return RefusalError(409, "latched", str(error), newer=(error.change,)).response
    return RefusalError(409, "wrong-state", str(error)).response


def not_there(request: Request, error: Exception) -> Response:
    return RefusalError(404, "not-known", str(error)).response


def not_kept(request: Request, error: Exception) -> Response:
    return again(503, "store", str(error)).response

"""One more chance for an answer that was not in the form."""

from __future__ import annotations

from pydantic import ValidationError


def correction_task(error: ValueError, *, cut: bool) -> str:
    """`cut`: the answer ended at the limit of tokens."""
    why = "it was cut off at the limit of its length; write less." if cut else in_words(error)
    return (
        f"Your last answer cannot be used: {why}\n"
        "Answer again, the whole object, in the form that the task gives.\n"
    )


def in_words(error: ValueError) -> str:
    """The first few things that are wrong with an answer, by place."""
    if not isinstance(error, ValidationError):
        return f"{error}."
    found = error.errors(include_url=False, include_input=False)
    told = [f"{'.'.join(map(str, one['loc'])) or 'the object'}: {one['msg']}" for one in found[:6]]
    return "; ".join(told) + "."

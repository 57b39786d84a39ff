"""What Fountain takes for a mark, and how text is kept from being taken for one: for writer and reader.

Fountain knows one escape, a backslash before an emphasis mark. We use it before every mark that can stand
inside a line, and write what no line of Fountain can hold (line breaks inside a cue, blanks at an edge,
control characters) as \\u{hex}. Marks at the start of a line are met by Fountain's own forcing signs: `!`
`@` `.` `>`.
"""

from __future__ import annotations

import re
import unicodedata

BLANK_LINE = "  "
"""An empty line inside one element; a truly empty one would end it."""

CHOICES_SECTION = "# Choices"

SLUG = re.compile(r"(INT|EXT|EST|INT\.?/EXT|I/E)[. ]", re.IGNORECASE)

_UNSAFE = ("Cc", "Cs", "Zl", "Zp")
_ESCAPE = re.compile(r"\\u\{([0-9a-f]{1,6})\}|\\(.)", re.DOTALL)


def escape(text: str, also: str = "") -> str:
    """One line of text as Fountain holds it. Characters in `also` get a backslash, too."""
    written: list[str] = []
    last = len(text) - 1
    for index, ch in enumerate(text):
        if unicodedata.category(ch) in _UNSAFE or (ch.isspace() and (index in (0, last) or ch != " ")):
            written.append(f"\\u{{{ord(ch):x}}}")
        elif ch in "\\*_" or ch in also or (ch == "[" and index and text[index - 1] == "["):
            written.append("\\" + ch)
        else:
            written.append(ch)
    return "".join(written)


def unescape(line: str) -> str:
    """The text of a line: `escape` backwards. A backslash at the very end stands for itself."""
    return _ESCAPE.sub(_character, line)


def _character(match: re.Match[str]) -> str:
    number, ch = match.groups()
    if number is None:
        return str(ch)
    return chr(int(number, 16)) if int(number, 16) <= 0x10FFFF else match.group()


def body_lines(text: str, also: str = "") -> list[str]:
    """A text of several lines as the lines of one paragraph."""
    return [escape(line, also) if line else BLANK_LINE for line in text.split("\n")]


def body_text(lines: list[str]) -> str:
    """`body_lines` backwards; blanks at the edges of lines, which only other programs write, are dropped."""
    return "\n".join(unescape(line.strip(" ")) for line in lines)


def unescaped(line: str, sign: str, start: int = 0) -> int:
    """Where `sign` stands in `line` without a backslash before it; -1 where it does not."""
    index = start
    while index < len(line):
        if line[index] == "\\":
            index += 2
            continue
        if line[index] == sign:
            return index
        index += 1
    return -1


def is_centred(line: str) -> bool:
    """`> like this <`"""
    words = line.strip(" ")
    return len(words) > 1 and words[0] == ">" and words[-1] == "<" and not words.endswith("\\<")


def is_capitals(line: str) -> bool:
    """Whether a first line of several would be read as a cue."""
    return line.split("(", 1)[0].isupper()


def is_transition(line: str) -> bool:
    return line.isupper() and line.endswith("TO:")

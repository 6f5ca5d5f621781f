"""Names as pictures have room for them."""

import textwrap
from collections.abc import Iterable
from typing import Any
from unicodedata import east_asian_width

_LONGEST = 24


def readable(name: str) -> str:
    """Return a metric's name in words.

    Args:
        name: as Keras has it.

    Returns:
        Text, "validation accuracy" for "val_accuracy".
    """
    return shortened(_in_words(name), 2 * _LONGEST)


def wrapped(name: str, width: int = _LONGEST) -> str:
    """Return a metric's name in words, on lines of their own if it is long.

    Args:
        name: as Keras has it.
        width: signs of a line.

    Returns:
        Text of at most three lines, "validation" above "accuracy" for "val_accuracy".
    """
    words = _in_words(name)
    # A line of broad signs holds half as many.
    room = max(width * len(words) // max(breadth(words), 1), 1)
    lines = textwrap.wrap(words, room)
    lines[2:] = [" ".join(lines[2:])] if lines[2:] else []
    return "\n".join(shortened(line, room) for line in lines)


def breadth(text: str) -> int:
    """Return how much room a text takes.

    Args:
        text: of a label.

    Returns:
        Number of letters; a Korean, Chinese or Japanese sign is as broad as two.
    """
    return len(text) + sum(east_asian_width(sign) in "WF" for sign in text)


def _in_words(name: str) -> str:
    words = name.replace("val_", "validation ", 1) if name.startswith("val_") else name
    return words.replace("_", " ")


def shortened(text: Any, width: int = _LONGEST) -> str:
    """Cut a long name, and let no sign be taken for mathematics.

    Args:
        text: a name of the user's.
        width: signs that are left.

    Returns:
        Text for a label.
    """
    return _cut(text, width, tail=0)


def told_apart(texts: Iterable[Any], width: int = _LONGEST) -> list[str]:
    """Cut long names so that they stay different.

    Args:
        texts: names of the user's.
        width: signs that are left of each.

    Returns:
        Labels: cut at the end if that tells them apart, else in the middle, else
        numbered.
    """
    names = list(map(str, texts))
    for tail in (0, (width - 1) // 2):
        labels = [_cut(name, width, tail=tail) for name in names]
        if len(set(labels)) == len(set(names)):
            return labels
    return [_cut(f"{n}. {name}", width, tail=0) for n, name in enumerate(names, 1)]


def _cut(text: Any, width: int, *, tail: int) -> str:
    """Leave the head and the tail of a name that is too long."""
    plain = "".join(
        sign if sign.isprintable() else "\N{REPLACEMENT CHARACTER}"
        for sign in str(text)
    )
    if len(plain) > width:
        plain = f"{plain[: width - 1 - tail]}…{plain[len(plain) - tail :]}"
    return plain.replace("$", r"\$")

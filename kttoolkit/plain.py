"""Plain data and text of others: held against rules, and made fit to be shown."""

import difflib
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Check = Callable[[Any], bool]

# Beyond it floats skip whole numbers, and no epoch, row or fold is counted so far.
_MOST = 2**53
_LARGEST = 1e308
# In seconds since 1970 the year 5138; further than dates reach nothing is drawn.
_LATEST = 1e11
_DEEPEST = 8
_SHOWN = 80
# What moves a cursor, colours, rings, turns the direction of writing, breaks a line, or
# cannot be encoded.
_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def visible(text: str) -> str:
    r"""Write control characters as Python would, so that they are seen and do nothing.

    A name may hold what clears a terminal, fills its clipboard, or turns the direction
    of writing.

    Args:
        text: that someone may have chosen.

    Returns:
        Text on one line that a terminal only prints.

    Example:
        >>> print(visible("red\x1b[31m\r\n"))
        red\x1b[31m\r\n
    """
    return _UNSEEN.sub(_escaped, text)


def visible_lines(text: str) -> str:
    """Write control characters as Python would, ends of lines apart.

    Args:
        text: several lines.

    Returns:
        As many lines.
    """
    return "\n".join(map(visible, text.split("\n")))


def meant(name: Any, known: Iterable[str]) -> str:
    """Return a hint at the known name that is most like one that is not.

    Args:
        name: that was given.
        known: all there are.

    Returns:
        A sentence to put behind another one, or nothing.

    Example:
        >>> meant("Hyperbnad", ["hyperband", "random"])
        " Did you mean 'hyperband'?"
    """
    given = str(name)
    for word in (given, given.lower()):
        close = difflib.get_close_matches(word, list(known), 1)
        if close:
            return f" Did you mean {close[0]!r}?"
    return ""


def counted(number: int, noun: str) -> str:
    """Return a number of things in words.

    Args:
        number: of them.
        noun: what one of them is called, whose plural ends in s.

    Returns:
        Text with the noun in the right number.

    Example:
        >>> counted(1, "trial"), counted(1200, "epoch")
        ('1 trial', '1,200 epochs')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _escaped(match: re.Match[str]) -> str:
    return repr(match[0])[1:-1]


def fault(state: Any, rules: Mapping[str, Check], required: int) -> str:
    """Say what is wrong with a mapping of fields.

    Args:
        state: after it went through JSON.
        rules: field to what it must be, the required ones in front.
        required: how many of them must be there.

    Returns:
        The reason; empty if every field is known and follows its rule.
    """
    if not isinstance(state, Mapping):
        return f"it holds {shown(state)}"
    missing = [name for name in list(rules)[:required] if name not in state]
    if missing:
        return f"{missing} are missing"
    unknown = [str(name) for name in state if name not in rules]
    if unknown:
        return f"{shown(unknown)} are unknown"
    wrong = (name for name, value in state.items() if not rules[name](value))
    name = next(wrong, None)
    return "" if name is None else f"its {name!r} is {shown(state[name])}"


def shown(value: Any) -> str:
    """Write a value in no more than a line.

    Args:
        value: anything.

    Returns:
        Its `repr`, cut short, with control characters written out.
    """
    try:
        text = visible(repr(value))
    # Of numbers with thousands of digits Python writes no text, nor of deep nesting.
    except (ValueError, RecursionError):
        return f"a {visible(type(value).__name__)} that is too large to be shown"
    # What others wrote may do anything.
    except Exception:
        return f"a {visible(type(value).__name__)} that cannot be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


# -- rules ---


def is_text(value: Any) -> bool:
    """Tell whether a value is text that can be encoded."""
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_count(value: Any) -> bool:
    """Tell whether a value is a whole number of things, 0 or more."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MOST


def is_seed(value: Any) -> bool:
    """Tell whether a value may be a seed."""
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole and abs(value) < 2**64


def is_number(value: Any) -> bool:
    """Tell whether a value is a number that a float holds; NaN and infinity are."""
    if isinstance(value, bool):
        return False
    return isinstance(value, float) or (
        isinstance(value, int) and abs(value) <= _LARGEST
    )


def is_time(value: Any) -> bool:
    """Tell whether a value may be seconds, since the start or since 1970."""
    return is_number(value) and 0 <= value <= _LATEST


def is_plain(value: Any, depth: int = 0) -> bool:
    """Tell whether a value may be a hyperparameter's: text, numbers, lists of them."""
    if depth > _DEEPEST:
        return False
    if isinstance(value, list | dict):
        parts = value.values() if isinstance(value, dict) else value
        names = value if isinstance(value, dict) else ()
        inside = all(is_plain(part, depth + 1) for part in parts)
        return inside and all(map(is_text, names))
    return value is None or is_scalar(value)


def is_scalar(value: Any) -> bool:
    """Tell whether a value may be a class: text, a number or a truth value."""
    return isinstance(value, bool) or is_text(value) or is_number(value)


def one_of(*values: Any) -> Check:
    """Return the rule that a value is text and one of these."""
    return lambda value: isinstance(value, str) and value in values


def maybe(check: Check) -> Check:
    """Return the rule that a value is None or follows another rule."""
    return lambda value: value is None or check(value)


def list_of(check: Check) -> Check:
    """Return the rule that a value is a list whose items follow a rule."""
    return lambda value: isinstance(value, list) and all(map(check, value))


def names_to(check: Check) -> Check:
    """Return the rule that a value maps names to what follows a rule."""
    return lambda value: (
        isinstance(value, dict)
        and all(map(is_text, value))
        and all(map(check, value.values()))
    )

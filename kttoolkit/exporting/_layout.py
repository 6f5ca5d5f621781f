"""Calls and lists laid out in lines, as a formatter of Python would lay them out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH = 88
_STEP = 4


@dataclass(frozen=True)
class Call:
    """A call, a list or a tuple: what stands between brackets can be broken.

    Attributes:
        head: what stands before the bracket.
        parts: (name, value) for each argument, the name empty for one by position.
        brackets: "()" or "[]" or "{}".
        on: what the outcome is called on, as a layer is called on a tensor.
        is_long: whether each part always has a line of its own.
    """

    head: str
    parts: tuple[tuple[str, "Node"], ...] = ()
    brackets: str = "()"
    on: str = ""
    is_long: bool = False


Node = str | Call


def call(head: str, *args: Node, **kwargs: Node) -> Call:
    """Make a call.

    Args:
        head: what is called.
        *args: arguments by position.
        **kwargs: arguments by name.

    Returns:
        The call.
    """
    named = [(f"{name}=", value) for name, value in kwargs.items()]
    return Call(head, (*(("", arg) for arg in args), *named))


def listed(
    values: Sequence[Node], brackets: str = "[]", *, is_long: bool = False
) -> Call:
    """Make a list, or a tuple.

    Args:
        values: its items.
        brackets: "[]" or "()".
        is_long: whether each item has a line of its own.

    Returns:
        The list.
    """
    return Call("", tuple(("", value) for value in values), brackets, is_long=is_long)


def flat(node: Node) -> str:
    """Write an expression in one line.

    Args:
        node: the expression.

    Returns:
        Its text.
    """
    if isinstance(node, str):
        return node
    inside = ", ".join(f"{name}{flat(value)}" for name, value in node.parts)
    is_pair = node.head or node.brackets != "()"
    comma = "" if is_pair or len(node.parts) != 1 else ","
    return f"{node.head}{node.brackets[0]}{inside}{comma}{node.brackets[1]}{node.on}"


def lines(node: Node, prefix: str = "", suffix: str = "", indent: int = 0) -> list[str]:
    """Write an expression in as few lines as the width allows.

    Args:
        node: the expression.
        prefix: what stands before it, such as "x = ".
        suffix: what stands behind it, such as ",".
        indent: spaces before each line.

    Returns:
        The lines.
    """
    pad = " " * indent
    text = f"{pad}{prefix}{flat(node)}{suffix}"
    if isinstance(node, str) or (len(text) <= WIDTH and not _is_long(node)):
        return [text]
    bare = f"{pad}{prefix}{flat(replace(node, on=''))}("
    if node.on and len(bare) <= WIDTH and not _is_long(node):
        # The last brackets are broken first, where what is before them fits.
        return [bare, f"{pad}{' ' * _STEP}{node.on[1:-1]}", f"{pad}){suffix}"]
    first = f"{pad}{prefix}{node.head}{node.brackets[0]}"
    last = f"{pad}{node.brackets[1]}{node.on}{suffix}"
    deeper = indent + _STEP
    inside = " " * deeper + ", ".join(f"{name}{flat(v)}" for name, v in node.parts)
    if node.head and len(inside) <= WIDTH and not _is_long(node):
        return [first, inside, last]
    middle = [
        line for name, value in node.parts for line in lines(value, name, ",", deeper)
    ]
    return [first, *middle, last]


def _is_long(node: Node) -> bool:
    if isinstance(node, str):
        return False
    return node.is_long or any(_is_long(value) for _, value in node.parts)

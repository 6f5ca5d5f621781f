"""A matplotlib picture as SVG that takes the colours of the page around it."""

import io
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.collections import Collection
from matplotlib.figure import Figure

# Drawn in these, and replaced by the page's own: light or dark, on screen or paper.
_INK, _PAPER = "#010203", "#fdfcfb"
_PAGE = {_INK: "var(--ink)", _PAPER: "var(--paper)"}
_MANY = 300
_DPI = 160
_FONTS = ["DejaVu Sans", "Verdana", "Noto Sans", "Noto Sans CJK KR", "sans-serif"]


def as_svg(draw: Callable[[], Any], *, name: str) -> str:
    """Draw a picture and return it as an SVG element.

    Text stays text, in the page's colour. Of more than 300 points, points and lines
    become an image, which is smaller then.

    Args:
        draw: returns axes, or a list of them, of a new figure.
        name: tells its inner names from those of other pictures on the page.

    Returns:
        The element, without the head of an XML file.
    """
    with _style(name):
        before = set(plt.get_fignums())
        try:
            drawn = draw()
            first = drawn[0] if isinstance(drawn, list) else drawn
            figure = first.figure
            _rasterize(figure)
            text = _written(figure)
        finally:
            for number in set(plt.get_fignums()) - before:
                plt.close(number)
    for color, own in _PAGE.items():
        text = text.replace(color, own)
    return text


@contextmanager
def _style(name: str) -> Iterator[None]:
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color",
             "ytick.color")  # fmt: skip
    paper = ("figure.facecolor", "axes.facecolor", "savefig.facecolor")
    settings: Any = {
        **dict.fromkeys(inked, _INK),
        **dict.fromkeys(paper, _PAPER),
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.sans-serif": _FONTS,
        "figure.dpi": 100,
    }
    with plt.ioff(), mpl.rc_context(settings), warnings.catch_warnings():
        # Text is drawn by the browser, which has more letters.
        warnings.filterwarnings("ignore", "Glyph .* missing from font")
        yield


def _rasterize(figure: Figure) -> None:
    for ax in figure.axes:
        for part in ax.collections:
            if _size(part) > _MANY:
                part.set_rasterized(True)
        if len(ax.lines) > _MANY:
            for line in ax.lines:
                line.set_rasterized(True)
        if len(ax.patches) > _MANY:
            for patch in ax.patches:
                patch.set_rasterized(True)


def _size(part: Collection) -> int:
    return max(len(np.asarray(part.get_offsets())), len(part.get_paths()))


def _written(figure: Figure) -> str:
    stream = io.StringIO()
    # Without a date, the same result has the same picture.
    nothing = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(stream, format="svg", dpi=_DPI, metadata=nothing)
    text = stream.getvalue()
    return text[text.index("<svg") :]

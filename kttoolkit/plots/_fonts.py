"""Fonts for Korean, Chinese and Japanese names, which matplotlib's own has not."""

import functools
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import ParamSpec, TypeVar

import matplotlib as mpl
import numpy as np
from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.text import Text

_P = ParamSpec("_P")
_R = TypeVar("_R")

# Hangul, kana, ideographs, and the punctuation and wide forms that go with them.
_EAST_ASIAN = re.compile(
    "[\u1100-\u11ff\u2e80-\u9fff\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff"
    "\ufe30-\ufe4f\uff00-\uffef\U00020000-\U0003ffff]"
)
# Of Linux, Windows and macOS; those that have Hangul come first.
_NAMES = (
    "Noto Sans CJK KR", "NanumGothic", "NanumBarunGothic", "NanumSquare",
    "Malgun Gothic", "Apple SD Gothic Neo", "AppleGothic", "Noto Sans CJK JP",
    "Noto Sans CJK SC", "Noto Sans CJK TC", "Noto Sans KR", "UnDotum", "Baekmuk Dotum",
    "Gulim", "Arial Unicode MS", "Hiragino Sans", "Yu Gothic", "Meiryo", "MS Gothic",
    "IPAexGothic", "IPAGothic", "TakaoPGothic", "Noto Sans JP", "Microsoft YaHei",
    "SimHei", "Microsoft JhengHei", "PingFang SC", "PingFang HK", "Hiragino Sans GB",
    "Heiti TC", "STHeiti", "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Noto Sans SC",
    "Noto Sans TC", "Droid Sans Fallback",
)  # fmt: skip
_EACH = r"Glyph \d+ \(\\N\{(HANGUL|CJK|HIRAGANA|KATAKANA|HALFWIDTH|FULLWIDTH) "
_COLORBAR = "<colorbar>"


def legible(draw: Callable[_P, _R]) -> Callable[_P, _R]:
    """Let a picture show names that its font has no signs for.

    Only texts with such signs are changed: behind their own fonts stand installed ones
    that have the signs, so that a text's other signs look as they did.

    Args:
        draw: returns axes, or several.

    Returns:
        The same function; it warns once if there is no font for a name.
    """

    @functools.wraps(draw)
    def drawn(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        made = draw(*args, **kwargs)
        texts = _texts(list(np.ravel(np.asarray(made, dtype=object))))
        in_boxes = [text for text in texts if not _lend_fonts(text)]
        if in_boxes:
            _warn(in_boxes[0].get_fontname())
        return made

    return drawn


def _texts(axes: Sequence[Axes]) -> Iterator[Text]:
    """Find the texts of a picture and of its colour bars."""
    bars = [
        ax
        for figure in dict.fromkeys(ax.figure for ax in axes)
        for ax in figure.axes
        if ax.get_label() == _COLORBAR
    ]
    for ax in (*axes, *bars):
        yield from ax.findobj(Text)


def _lend_fonts(text: Text) -> bool:
    """Add the fonts that a text needs; tell whether all of its signs are shown now."""
    lacking = set(_EAST_ASIAN.findall(text.get_text()))
    if not lacking:
        return True
    own = list(text.get_fontfamily())
    for family in own:
        lacking -= _signs_in(family, lacking)
    lent = []
    for family in _installed() if lacking else ():
        found = _signs_in(family, lacking)
        lent += [family] if found else []
        lacking -= found
    if lent:
        text.set_fontfamily([*own, *lent])
    return not lacking


def _signs_in(family: str, signs: set[str]) -> set[str]:
    """Return those of the signs that a font has."""
    wanted = FontProperties(family=[family])
    try:
        path = font_manager.fontManager.findfont(wanted, fallback_to_default=False)
    except ValueError:
        # There is no such font, which matplotlib tells when it draws.
        return set()
    font = font_manager.get_font(path)
    return {sign for sign in signs if font.get_char_index(ord(sign))}


def _installed() -> list[str]:
    """Return the fonts for such names that there are, the first choice first."""
    found = _known()
    if not found:
        # matplotlib keeps a list of fonts, in which those installed since are not.
        listed = {font.fname for font in font_manager.fontManager.ttflist}
        for path in sorted(set(font_manager.findSystemFonts()) - listed):
            # As matplotlib does itself: a broken font is no font.
            with suppress(Exception):
                font_manager.fontManager.addfont(path)
        found = _known()
    return found


def _known() -> list[str]:
    names = set(font_manager.get_font_names())
    return [name for name in _NAMES if name in names]


def _warn(font: str) -> None:
    """Say once what to install, for matplotlib warns of each sign, at each drawing."""
    if mpl.rcParams["svg.fonttype"] == "none":
        # Whoever opens such a file has other fonts.
        return
    warnings.filterwarnings("ignore", _EACH, UserWarning)
    _hint(font)


@functools.cache
def _hint(font: str) -> None:
    # It begins as matplotlib's own, so that who ignores those is not told either.
    warnings.warn(
        f"Glyph of a Korean, Chinese or Japanese name missing from font {font}: it is "
        "drawn as an empty box. Install a font that has it, and draw again: 'apt "
        "install fonts-nanum' for Korean, 'apt install fonts-noto-cjk' for all three.",
        UserWarning,
        stacklevel=4,
    )

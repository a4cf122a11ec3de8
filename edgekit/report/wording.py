"""Numbers as people read them. Megabytes are 1,000,000 bytes, shares are per cent, and an interval is the 95 % one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

NOT_MEASURED = "not measured"
NO_LABELS = "no labels"


def percent(share: float, digits: int = 2) -> str:
    """0.98333 -> '98.33 %'"""
    return f"{100 * share:.{digits}f} %"


def span(ends: Sequence[float], digits: int = 1) -> str:
    """An interval of shares: (0.9642, 0.9924) -> '96.4 to 99.2 %'"""
    return f"{100 * ends[0]:.{digits}f} to {100 * ends[1]:.{digits}f} %"


def point_span(ends: Sequence[float]) -> str:
    """An interval of differences of shares: (-0.0051, 0.002) -> '-0.51 to +0.20'"""
    return f"{100 * ends[0]:+.2f} to {100 * ends[1]:+.2f}"


def proportion(found: Mapping[str, Any]) -> str:
    """{value, n, ci95} -> '98.33 % of 360 (96.4 to 99.2 %)'"""
    return f"{percent(found['value'])} of {found['n']:,} ({span(found['ci95'])})"


def megabytes(size: float | None) -> str:
    """Bytes -> '0.591', for a column headed MB."""
    return NOT_MEASURED if size is None else f"{size / 1e6:,.3f}"


def size(count: float) -> str:
    """Bytes -> '591 kB', '1.81 MB'"""
    return f"{count / 1e6:,.2f} MB" if count >= 1e6 else f"{count / 1e3:,.0f} kB"


def significant(value: float) -> str:
    """Three significant digits, never an exponent: 0.0214, 1.23, 12.3, 1,234"""
    if value == 0:
        return "0"
    digits = 2
    while abs(value) < 0.9995 * 10 ** (2 - digits) and digits < 9:
        digits += 1
    while digits > 0 and abs(value) >= 0.9995 * 10 ** (3 - digits):
        digits -= 1
    return f"{value:,.{digits}f}"


def millions(count: float | None) -> str:
    """12,345,678 -> '12.3 M'; below 100,000 the number itself."""
    if count is None:
        return "not counted"
    return f"{significant(count / 1e6)} M" if count >= 1e5 else f"{count:,.0f}"


def points(drop: float | None) -> str:
    """Top-1 points lost, as a column shows them: '-0.28', '+0.10', '0.00'"""
    if drop is None:
        return NO_LABELS
    return f"{-drop:+.2f}" if abs(drop) >= 0.005 else "0.00"


def times(ratio: float) -> str:
    """3.14 -> '3.1 times', 12.4 -> '12 times'"""
    return f"{ratio:.1f} times" if ratio < 10 else f"{ratio:,.0f} times"


def seconds(spent: float) -> str:
    """43.2 -> '43 s', 125 -> '2 min 5 s'"""
    if spent < 60:
        return f"{significant(spent)} s" if spent < 10 else f"{spent:.0f} s"
    whole = round(spent)
    return f"{whole // 60} min {whole % 60} s" if whole < 3600 else f"{whole // 3600} h {whole % 3600 // 60} min"


def counted(n: int, noun: str, plural: str = "") -> str:
    """'1 thread', '1,200 images', '2 classes', '-1 image'"""
    return f"{n:,} {noun if abs(n) == 1 else plural or noun + 's'}"


def change(n: int, noun: str) -> str:
    """'+1 image', '-3 images', '0'"""
    return f"{'+' if n > 0 else ''}{counted(n, noun)}" if n else "0"


def flips(found: Mapping[str, Any]) -> str:
    """'1 image gained, 2 lost'"""
    return f"{counted(found['gained'], 'image')} gained, {found['lost']:,} lost"


def listed(names: Sequence[str], most: int = 20) -> str:
    """'a, b, c and 97 more'"""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest:,} more" if rest > 0 else "")


def printable(text: str) -> str:
    """Without what moves a terminal's cursor or changes its colours: a file may be called anything."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


def printable_lines(text: str) -> str:
    """`printable`, line by line."""
    return "\n".join(map(printable, text.split("\n")))

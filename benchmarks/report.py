"""What the benchmarks' results have in common: medians, ratios, the machine, tables and charts.

A benchmark's `run.py` puts this folder on `sys.path` and imports it as `report`.
"""

from __future__ import annotations

import html
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple


class Measured(NamedTuple):
    """Several measurements of one thing."""

    median: float
    least: float
    most: float

    @classmethod
    def of(cls, samples: Iterable[float]) -> Measured:
        """Return median and spread of at least one sample."""
        found = sorted(samples)
        return cls(statistics.median(found), found[0], found[-1])

    def text(self, digits: int = 2) -> str:
        """Return it for people: the median, and in brackets the spread."""
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f} to {self.most:,.{digits}f})"


def medians(samples: Iterable[Mapping[str, float]], digits: int = 4) -> dict[str, float]:
    """Return the median of each value over samples that all have the same ones."""
    found = list(samples)
    return {name: round(statistics.median(sample[name] for sample in found), digits) for name in found[0]}


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> Measured:
    """Return the ratio of what was measured in turns, sample by sample: a busy minute touches both sides.

    Args:
        numerators, denominators: as many of the one as of the other.
    """
    return Measured.of(top / bottom for top, bottom in zip(numerators, denominators, strict=True))


def machine() -> dict[str, Any]:
    """Return what a figure depends on beside the code: cores this process may use, and the load just now."""
    return {"cores": len(os.sched_getaffinity(0)), "load": [round(value, 1) for value in os.getloadavg()]}


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table for a terminal: the first column to the left, all others to the right."""
    lines = [list(head), *([*row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


_WIDTH, _LEFT, _BAR, _GAP, _TOP = 860, 250, 20, 16, 56
_COLOURS = ("#2f6fb7", "#d98324", "#8a8f98", "#5a9e5f")


def bar_chart(
    path: Path, title: str, note: str, groups: Mapping[str, Mapping[str, float]], *, unit: str, digits: int = 0
) -> None:
    """Write bars as an SVG image.

    Args:
        path: of the image; its folder exists.
        title: what it shows.
        note: how it was measured.
        groups: group to bar to value; the values are not negative, and one of them is above zero.
        unit: of the values.
        digits: behind the point.
    """
    names = list(dict.fromkeys(name for bars in groups.values() for name in bars))
    largest = max(value for bars in groups.values() for value in bars.values())
    scale = (_WIDTH - _LEFT - 140) / largest
    parts: list[str] = []
    y = _TOP + 14
    for group, bars in groups.items():
        parts.append(_text(16, y, group, weight="bold"))
        y += 10
        for name, value in bars.items():
            width = max(1.0, value * scale)
            colour = _COLOURS[names.index(name) % len(_COLOURS)]
            parts.append(_text(_LEFT - 10, y + _BAR - 5, name, anchor="end"))
            parts.append(f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{colour}"/>')
            parts.append(_text(_LEFT + width + 8, y + _BAR - 5, f"{value:,.{digits}f} {unit}"))
            y += _BAR + 4
        y += _GAP
    head = _text(16, 26, title, size=17, weight="bold") + _text(16, 46, note, size=12, colour="#666666")
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{y}" viewBox="0 0 {_WIDTH} {y}" '
        f'font-family="sans-serif" role="img"><rect width="100%" height="100%" fill="#ffffff"/>\n'
        + "\n".join([head, *parts])
        + "\n</svg>\n",
        encoding="utf-8",
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    size: int = 13,
    anchor: str = "start",
    weight: str = "normal",
    colour: str = "#222222",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y}" font-size="{size}" text-anchor="{anchor}" font-weight="{weight}" '
        f'fill="{colour}">{html.escape(text)}</text>'
    )

"""A file's operators as one drawing (SVG): a row each in the file's order, lines along the tensors.

Names come out of an untrusted file: they are escaped as text and as XML.
"""

from __future__ import annotations

from html import escape
from pathlib import Path

from edgekit.errors import BadInput
from edgekit.runtime.escape import escaped
from edgekit.runtime.inspection import InspectedOp, Inspection

MOST = 2000  # operators: a taller drawing opens nowhere
ROW, BOX, WIDTH, LEFT, TOP = 44, 30, 560, 150, 56  # pixels
LANES, LANE = 10, 12  # lines that pass other rows by, side by side, and their distance
NAME = 44  # characters of a layer's name
FILLS = {"float32": "#dbeafe", "int8": "#dcfce7", "uint8": "#dcfce7", "int16": "#fef9c3"}
LEGEND = "Red: not taken by XNNPACK. Blue: float32, green: 8 bits, yellow: int16."
OTHER, REFUSED, LINE = "#f3f4f6", "#dc2626", "#6b7280"


def op_graph(found: Inspection) -> str:
    """The SVG document. Operators that XNNPACK leaves have a red edge, and every box its reasons as its title. Raises
    BadInput for more than MOST operators."""
    if len(found.operators) > MOST:
        raise BadInput(
            f"{escaped(found.file)} has {len(found.operators):,} operators, and at most {MOST:,} can be drawn.",
            "Use --json: it has them all.",
        )
    height = TOP + ROW * len(found.operators) + 16
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 16}" height="{height}" '
        'font-family="system-ui, sans-serif" font-size="13">',
        '<rect width="100%" height="100%" fill="#ffffff"/>',
        f'<text x="16" y="24" font-size="15">{_safe(_title(found))}</text>',
        f'<text x="16" y="42" fill="{LINE}">{LEGEND}</text>',
    ]
    parts += [_line(before, one.index) for one in found.operators for before in one.takes]
    parts += [_box(one) for one in found.operators]
    return "\n".join([*parts, "</svg>", ""])


def _title(found: Inspection) -> str:
    return (
        f"{Path(found.file).name}: {len(found.operators):,} operators, {found.params:,} parameters, {found.macs:,} MACs"
    )


def _line(before: int, after: int) -> str:
    """Straight to the next row; past other rows in a lane at the left, by the operator that it comes from."""
    start, end = TOP + ROW * before + BOX, TOP + ROW * after
    if after == before + 1:
        middle = LEFT + WIDTH // 2
        return f'<path d="M{middle} {start}V{end}" stroke="{LINE}" fill="none"/>'
    lane = LEFT - LANE * (2 + before % LANES)
    first, last = start - BOX // 2, end + BOX // 2
    return f'<path d="M{LEFT} {first}H{lane}V{last}H{LEFT}" stroke="{LINE}" fill="none"/>'


def _box(one: InspectedOp) -> str:
    top, edge = TOP + ROW * one.index, REFUSED if "cpu" in one.refused else LINE
    name = escaped(one.layer.split(";")[0])
    name = name if len(name) <= NAME else "…" + name[-NAME + 1 :]
    said = "; ".join(f"{target}: {reason}" for target, reason in one.refused.items()) or "taken by every target"
    shape = "x".join(map(str, one.shape))
    return (
        f'<g><title>{_safe(said)}</title><rect x="{LEFT}" y="{top}" width="{WIDTH}" height="{BOX}" rx="5" '
        f'fill="{FILLS.get(one.dtype, OTHER)}" stroke="{edge}"/>'
        f'<text x="{LEFT + 10}" y="{top + 20}">{one.index}  {_safe(one.op)}</text>'
        f'<text x="{LEFT + 210}" y="{top + 20}" fill="#374151" font-size="11">{_safe(name)}</text>'
        f'<text x="{LEFT + WIDTH - 8}" y="{top + 20}" text-anchor="end">{shape}</text></g>'
    )


def _safe(text: str) -> str:
    return escape(escaped(text))

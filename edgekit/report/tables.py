"""One row a variant: for pandas and CSV with exact figures, and in words and columns for the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.report import facts, steps, wording
from edgekit.report.verdict import verdict

if TYPE_CHECKING:
    import pandas as pd

Results = Mapping[str, Any]
Row = Mapping[str, Any]
WIDTH = 100
MOST_DAMAGED = 10  # damaged files named in a report; results.json names them all


@dataclass(frozen=True)
class Column:
    """`show` is the cell for people, `value` what it is sorted by; `brief` columns are enough for a terminal."""

    title: str
    show: Callable[[Row], str]
    value: Callable[[Row], Any]
    brief: bool = True
    number: bool = True


def status(row: Row) -> str:
    """chosen, within budget, over budget or not verified."""
    if row["chosen"]:
        return "chosen"
    if not row["parity"]["verified"]:
        return "not verified"
    return "over budget" if row["violations"] else "within budget"


def median(row: Row) -> str:
    return wording.significant(row["latency_ms"]["median"]) + ("" if row["verdict"] == "steady" else " unstable")


def _share(figure: str) -> Callable[[Row], str]:
    """A share of the images, or why there is none."""
    return lambda row: wording.percent(row[figure]["value"]) if row[figure] else wording.NO_LABELS


def _value(figure: str) -> Callable[[Row], float | None]:
    return lambda row: row[figure]["value"] if row[figure] else None


COLUMNS: tuple[Column, ...] = (
    Column("Variant", lambda r: r["variant"], lambda r: r["variant"], number=False),
    Column("Verdict", status, status, number=False),
    Column("Top-1", _share("top1"), _value("top1")),
    Column(
        "95 % interval",
        lambda r: wording.span(r["top1"]["ci95"]) if r["top1"] else "",
        lambda r: r["top1"]["ci95"][0] if r["top1"] else None,
    ),
    Column(
        "vs float32",
        lambda r: wording.points(r["drop_points"]),
        lambda r: None if r["drop_points"] is None else -r["drop_points"],
    ),
    Column("Same answer", _share("agreement"), _value("agreement"), False),
    Column("Median ms", median, lambda r: r["latency_ms"]["median"]),
    Column("p90 ms", lambda r: wording.significant(r["latency_ms"]["p90"]), lambda r: r["latency_ms"]["p90"]),
    Column("p99 ms", lambda r: wording.significant(r["latency_ms"]["p99"]), lambda r: r["latency_ms"]["p99"], False),
    Column("Size MB", lambda r: wording.megabytes(r["size_bytes"]), lambda r: r["size_bytes"]),
    Column("gzip MB", lambda r: wording.megabytes(r["gzip_bytes"]), lambda r: r["gzip_bytes"], False),
    Column("Heap MB", lambda r: wording.megabytes(r["heap_bytes"]), lambda r: r["heap_bytes"]),
    Column("TFLM arena MB", lambda r: wording.megabytes(r["arena_bytes"]), lambda r: r["arena_bytes"], False),
    Column("MACs", lambda r: wording.millions(r["macs"]), lambda r: r["macs"]),
    Column("Params", lambda r: wording.millions(r["params"]), lambda r: r["params"], False),
)


ACCURACY = ("Top-1", "95 % interval", "vs float32")


def shown_columns(results: Results, brief: bool = False) -> tuple[Column, ...]:
    """Those that say something: without labels none of accuracy, and then the agreement on a terminal too."""
    labelled = results["variants"][0]["top1"] is not None
    kept = [column for column in COLUMNS if labelled or column.title not in ACCURACY]
    return tuple(c for c in kept if not brief or c.brief or (c.title == "Same answer" and not labelled))


THREAD_COLUMNS = (
    Column("Variant", lambda r: r["variant"], lambda r: r["variant"], number=False),
    Column("Threads", lambda r: str(r["threads"]), lambda r: r["threads"]),
    *(column for column in COLUMNS if column.title.endswith(" ms")),
    Column("Images/s", lambda r: wording.significant(r["images_per_second"]), lambda r: r["images_per_second"]),
)


def variants_table(results: Results) -> pd.DataFrame:
    """One row a variant, exact figures by their names in docs/contracts.md, nested ones flattened with `_`.

    top1, agreement: fractions of 1; top1_low and _high: its 95 % interval; n: test images; latency at `threads`.
    """
    import pandas as pd

    return pd.DataFrame([_flat(row, results["latency"][row["variant"]][0]["threads"]) for row in results["variants"]])


def _flat(row: Row, threads: int) -> dict[str, Any]:
    latency, top1 = row["latency_ms"], row["top1"] or {"value": None, "ci95": (None, None), "n": None}
    return {
        **{name: row[name] for name in ("variant", "file", "io", "sha256", "size_bytes", "gzip_bytes")},
        "top1": top1["value"],
        "top1_low": top1["ci95"][0],
        "top1_high": top1["ci95"][1],
        "n": top1["n"],
        "top5": row["top5"]["value"] if row["top5"] else None,
        "drop_points": row["drop_points"],
        "agreement": row["agreement"]["value"] if row["agreement"] else None,
        **{f"latency_ms_{name}": latency[name] for name in ("median", "p90", "p99")},
        "latency_ms_low": latency["ci95"][0],
        "latency_ms_high": latency["ci95"][1],
        "latency_verdict": row["verdict"],
        "threads": threads,
        **{name: row[name] for name in ("heap_bytes", "arena_bytes", "macs", "params")},
        "verified": row["parity"]["verified"],
        "violations": "; ".join(row["violations"]),
        "chosen": row["chosen"],
    }


def variants_csv(results: Results) -> str:
    """`variants_table` as CSV; figures read back exactly."""
    return variants_table(results).to_csv(index=False, lineterminator="\n")


def text_report(results: Results, folder: str | Path | None = None) -> str:
    """For a terminal: the verdict first, then the table, then what it rests on. `folder` is the run directory."""
    found, columns = verdict(results), shown_columns(results, brief=True)
    blocks = [
        section(found.headline, found.sentences),
        section("FAILED:", results["failures"]),
        aligned(columns, [[column.show(row) for column in columns] for row in results["variants"]]),
        _footnotes(results),
        section("Ruled out:", ruled_out(results) if results["chosen"] else []),
        section("Training:", [f"{term}: {text}." for term, text in facts.training(results)]),
        section("Steps:", steps.sentences(results)),
        section("Advice:", results["training"]["advice"]),
        section("Damaged files, left out:", damaged_files(results)),
        _files(results, folder),
    ]
    return "\n\n".join(wording.printable_lines("\n".join(block)) for block in blocks if block)


def damaged_files(results: Results) -> list[str]:
    """'name: reason' of the first, and how many more there are."""
    damaged = results["dataset"]["damaged"]
    shown = [f"{one['name']}: {one['reason']}" for one in damaged[:MOST_DAMAGED]]
    rest = len(damaged) - len(shown)
    return shown + ([f"and {rest:,} more, named in results/results.json"] if rest else [])


def thread_rows(results: Results) -> list[Row]:
    """A row for THREAD_COLUMNS a variant and thread count; none where only one count was measured."""
    rows: list[Row] = [{"variant": variant, **one} for variant, found in results["latency"].items() for one in found]
    return rows if len(rows) > len(results["latency"]) else []


def ruled_out(results: Results) -> list[str]:
    """Why each variant that fails a limit does."""
    return [f"{row['variant']} {' and '.join(row['violations'])}" for row in results["variants"] if row["violations"]]


def footnote(results: Results) -> str:
    """What the columns are of."""
    rows = results["variants"]
    threads = results["latency"][rows[0]["variant"]][0]["threads"]
    top1 = rows[0]["top1"]
    said = f"Top-1 of {top1['n']:,} test images, against float32 in points" if top1 else unlabelled(results)
    return f"{said}; latency and MACs of one image, on {wording.counted(threads, 'thread')}; MB of 1,000,000 bytes."


def unlabelled(results: Results) -> str:
    """What is skipped without labels, and what stands in for it."""
    row = results["variants"][0]
    compared = f"compared with the model on {row['parity']['n']:,} held-out samples"
    return f"No labels: accuracy and its budget are skipped, each file is {compared}"


def _footnotes(results: Results) -> list[str]:
    shown = dict(facts.conditions(results))
    threads = thread_rows(results)
    apart = ["", *aligned(THREAD_COLUMNS, [[c.show(row) for c in THREAD_COLUMNS] for row in threads]), ""]
    return [
        *wrapped(footnote(results)),
        *(apart if threads else []),
        *wrapped(f"Measured on {shown['CPU']} with {shown['Runtime']}; {shown['Runs']}."),
    ]


def aligned(columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[column.title for column in columns], *rows]
    widths = [max(map(len, cells)) for cells in zip(*lines, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if column.number else cell.ljust(width)
            for cell, width, column in zip(line, widths, columns, strict=True)
        )
        for line in lines
    ]


def section(title: str, sentences: Sequence[str]) -> list[str]:
    return [title, *(line for said in sentences for line in wrapped(said, "  "))] if sentences else []


def _files(results: Results, folder: str | Path | None) -> list[str]:
    """Those that were written: the page needs an extra."""
    at = Path(folder) if folder is not None else Path()
    names = [(row["variant"], row["file"]) for row in results["variants"]]
    names += [("report", "report.html"), ("report", "report.md"), ("figures", "results/variants.csv")]
    return ["Files:", *(f"  {what:<9}{at / name}" for what, name in names if folder is None or (at / name).exists())]


def wrapped(text: str, indent: str = "") -> list[str]:
    hanging = 2 * indent
    return textwrap.wrap(
        text, WIDTH, initial_indent=indent, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
    )

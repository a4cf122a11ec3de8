"""Several runs on one page: all their variants in one table, what no other beats, and which one to ship."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.compare import paired_counts
from edgekit.evaluation.gate import Candidate, choose
from edgekit.recipe import Budget
from edgekit.report import wording
from edgekit.report.front import front
from edgekit.report.read_run import ReadRun, Row, correct
from edgekit.report.tables import Column, aligned, median, section, wrapped
from edgekit.report.tables import Row as Shown
from edgekit.report.verdict import Verdict

MISSING = "missing"
LIMITS = ("max_drop_points", "max_size_mb", "max_latency_ms", "max_arena_kb")


@dataclass(frozen=True)
class Across:
    """`rows`: one a variant of a run, with `id`, `run`, `machine`, `fronts` (of size, of latency: true, false, or None
    where a figure is missing), `points` (top-1 against the most accurate float32 of all) and `paired` (the same image
    by image; None for that float32 itself, and where it is not known). `notes` say what the figures cannot tell;
    `missing` what the runs lack, run by run."""

    names: tuple[str, ...]
    data: str
    rows: tuple[Row, ...]
    verdict: Verdict
    notes: tuple[str, ...]
    missing: tuple[str, ...]
    gain: str  # the figure that stands for quality: top1, or agreement where nothing is labelled


def across(runs: Sequence[ReadRun]) -> Across:
    """Raises BadInput for runs on different data: their figures are of different images."""
    names = _names(runs)
    _same_data(runs, names)
    gain = "top1" if any(run.labelled for run in runs) else "agreement"
    rows = [
        {
            **row,
            "run": name,
            "id": f"{name}: {row['variant']}",
            "machine": _machine(run, row["variant"]),
            "chosen": False,
        }
        for name, run in zip(names, runs, strict=True)
        for row in run.rows
    ]
    _compare(rows, gain)
    _pair(rows, dict(zip(names, runs, strict=True)))
    missing = tuple(f"{name} is not finished: {'; '.join(run.missing)}."
                    for name, run in zip(names, runs, strict=True) if run.missing)  # fmt: skip
    chosen = _choose(rows, runs)
    return Across(
        names, runs[0].record["data"], tuple(rows), _verdict(rows, chosen, runs), _notes(rows, runs), missing, gain
    )


def _names(runs: Sequence[ReadRun]) -> tuple[str, ...]:
    """Folder names; the whole path where two folders are called alike."""
    folders = [run.folder.resolve() for run in runs]
    if len(set(folders)) < len(folders):
        raise UsageError("The same run is named twice.", "Name each run once.")
    short = [run.name for run in runs]
    return tuple(name if short.count(name) == 1 else str(run.folder) for name, run in zip(short, runs, strict=True))


def _same_data(runs: Sequence[ReadRun], names: Sequence[str]) -> None:
    first = runs[0].record
    for name, run in zip(names, runs, strict=True):
        if run.record["data_sha256"] != first["data_sha256"]:
            raise BadInput(
                f"{names[0]} and {name} are of different data: SHA-256 {first['data_sha256'][:16]}… and "
                f"{run.record['data_sha256'][:16]}….",
                "Compare runs on the same images with the same split; make a report of each apart.",
            )


def _machine(run: ReadRun, variant: str) -> str | None:
    if variant not in run.latency:
        return None
    first = run.latency[variant][0]
    at = first["conditions"]
    return f"{at['cpu'] or at['machine']}, {at['runtime']}, {wording.counted(first['threads'], 'thread')}"


def _compare(rows: list[Row], gain: str) -> None:
    """Adds `points` and `fronts` to each row."""
    floats = [row["top1"]["value"] for row in rows if row["variant"] == "float32" and row["top1"]]
    best = max(floats, default=None)
    for row in rows:
        row["points"] = None if best is None or not row["top1"] else round(100 * (row["top1"]["value"] - best), 9)
        row["fronts"] = {}
    costs: dict[str, Callable[[Shown], Any]] = {"size": lambda r: r["size_bytes"], "latency": _latency}
    for name, cost in costs.items():
        known = [row for row in rows if row[gain] and cost(row) is not None]
        if name == "latency" and len({row["machine"] for row in known}) > 1:
            continue  # measured under different conditions: nothing beats anything
        for row, on in zip(known, front([(cost(row), row[gain]["value"]) for row in known]), strict=True):
            row["fronts"][name] = on


def _pair(rows: list[Row], runs: Mapping[str, ReadRun]) -> None:
    """Adds `paired` to each row, counted from the raw answers of both files."""
    known = [row for row in rows if row["top1"] and runs[row["run"]].results]
    best = next((row for row in known if row["variant"] == "float32" and row["points"] == 0), None)
    right = {row["id"]: correct(runs[row["run"]], row["variant"]) for row in known}
    for row in rows:
        if best is None or row is best or row["id"] not in right:
            row["paired"] = None
        else:
            row["paired"] = paired_counts(right[best["id"]], right[row["id"]])


def _latency(row: Shown) -> float | None:
    return row["latency_ms"] and row["latency_ms"]["median"]


def strictest(budgets: Sequence[Mapping[str, Any]]) -> Budget:
    """Of each limit the smallest that a run has."""
    given = {limit: [one[limit] for one in budgets if one.get(limit) is not None] for limit in LIMITS}
    return Budget.model_validate({limit: min(values) for limit, values in given.items() if values})


def _choose(rows: list[Row], runs: Sequence[ReadRun]) -> Row | None:
    """By the rule of a single run, with the most accurate float32 as the reference and the strictest budget. Only files
    that were measured count, and on one machine only."""
    machine = next((row["machine"] for row in rows if row["machine"]), None)
    known = [row for row in rows if row["latency_ms"] and row["machine"] == machine]
    floats = [row for row in known if row["variant"] == "float32"]
    budgets = [run.budget for run in runs if run.results]
    if not floats or not budgets:
        return None
    reference = max(floats, key=lambda row: row["top1"]["value"] if row["top1"] else 0.0)
    ordered = [reference, *(row for row in known if row is not reference)]
    choice = choose([_candidate(row) for row in ordered], strictest(budgets))
    for row in ordered:
        row["violations"] = list(choice.violations[row["id"]])  # type: ignore[index]
        row["chosen"] = row["id"] == choice.chosen
    return next((row for row in ordered if row["chosen"]), None)


def _candidate(row: Shown) -> Candidate:
    return Candidate(
        variant=row["id"], verified=row["parity"]["verified"], top1=row["top1"] and row["top1"]["value"],
        latency_ms=row["latency_ms"]["median"], latency_ci95=tuple(row["latency_ms"]["ci95"]),
        size_bytes=row["size_bytes"], arena_bytes=row["arena_bytes"],
    )  # fmt: skip


def _verdict(rows: Sequence[Row], chosen: Row | None, runs: Sequence[ReadRun]) -> Verdict:
    done = [run for run in runs if run.results]
    told = [*_best(rows)]
    if chosen is None:
        headline = (
            "No run is finished: nothing can be recommended yet."
            if not done
            else "No variant of these runs meets the strictest budget of them."
        )
        return Verdict(False, headline, tuple(told))
    cost = f"{wording.size(chosen['size_bytes'])}, {wording.significant(chosen['latency_ms']['median'])} ms median"
    accuracy = f"top-1 {wording.percent(chosen['top1']['value'])}, " if chosen["top1"] else ""
    why = (
        "Of the variants that verify and meet the strictest budget of these runs it has the lowest median latency; of "
        "those as fast as it, the smallest file."
    )
    return Verdict(not any(run.missing for run in runs), f"Ship {chosen['id']}: {accuracy}{cost}.", (why, *told))


def _best(rows: Sequence[Row]) -> list[str]:
    """Who is ahead in what."""
    asked: tuple[tuple[str, Callable[[Row], float | None], Callable[[Row], str], int], ...] = (
        ("Most accurate", lambda r: r["top1"] and r["top1"]["value"], lambda r: wording.proportion(r["top1"]), -1),
        ("Smallest", lambda r: r["size_bytes"], lambda r: wording.size(r["size_bytes"]), 1),
        ("Fastest", _latency, lambda r: f"{wording.significant(r['latency_ms']['median'])} ms", 1),
    )
    told = []
    for what, value, show, sign in asked:
        known = [row for row in rows if value(row) is not None]
        if known:
            first = min(known, key=lambda row: sign * (value(row) or 0.0))
            told.append(f"{what}: {first['id']}, {show(first)}.")
    return told


def _notes(rows: Sequence[Row], runs: Sequence[ReadRun]) -> tuple[str, ...]:
    machines = list(dict.fromkeys(row["machine"] for row in rows if row["machine"]))
    versions = list(dict.fromkeys(run.results["edgekit"] for run in runs if run.results))
    told = [f"Measured on {machines[0]}."] if len(machines) == 1 else []
    if len(machines) > 1:
        each = "; ".join(f"{place}) {name}" for place, name in enumerate(machines, 1))
        told.append(f"Latencies were measured under different conditions and are not to be compared: {each}.")
    if len(runs) > 1:
        told.append(
            "Runs are measured one after the other, not in turns: a difference of a few percent in latency may be the "
            "machine's. `edgekit bench FILE FILE` settles it."
        )
    told += [f"Made by different versions of edgekit: {', '.join(versions)}."] if len(versions) > 1 else []
    return tuple(told)


def footnote_across(found: Across) -> str:
    """What the columns are of."""
    counts = sorted({row["top1"]["n"] for row in found.rows if row["top1"]})
    images = f"Top-1 of {counts[0]:,} test images" if len(counts) == 1 else "No labels: accuracy is skipped"
    pairs = " and its test image by image" if any(row["paired"] for row in found.rows) else ""
    return f"{images}, the difference in points of top-1{pairs}; latency and MACs of one image; MB of 1,000,000 bytes."


# ---- the table ------------------------------------------------------------------------------------------------------


def _status(row: Shown) -> str:
    if row["chosen"]:
        return "chosen"
    if not row["parity"]["verified"]:
        return "not verified"
    if row["latency_ms"] is None:
        return MISSING
    return "over budget" if row["violations"] else "within budget"


def _shown(figure: str, show: Callable[[Any], str]) -> Callable[[Shown], str]:
    return lambda row: MISSING if row[figure] is None else show(row[figure])


def _of_pair(show: Callable[[Any], str]) -> Callable[[Shown], str]:
    """Nothing in the row of the reference itself, and where there are no labels."""
    return lambda row: "" if row["paired"] is None else show(row["paired"])


def _fronts(row: Shown) -> str:
    return " and ".join(name for name, on in row["fronts"].items() if on) or ("" if row["fronts"] else MISSING)


ACROSS_COLUMNS: tuple[Column, ...] = (
    Column("Run and variant", lambda r: r["id"], lambda r: r["id"], number=False),
    Column("Verdict", _status, _status, number=False),
    Column("Top-1", _shown("top1", lambda v: wording.percent(v["value"])), lambda r: r["top1"] and r["top1"]["value"]),
    Column("95 % interval", _shown("top1", lambda v: wording.span(v["ci95"])),
           lambda r: r["top1"] and r["top1"]["ci95"][0]),
    Column("vs best float32", _shown("points", lambda v: wording.points(-v)), lambda r: r["points"]),
    Column("its 95 % interval", _of_pair(lambda v: wording.point_span(v["ci95"])),
           lambda r: r["paired"] and r["paired"]["ci95"][0], False),
    Column("gained, lost", _of_pair(lambda v: f"{v['gained']:,}, {v['lost']:,}"),
           lambda r: r["paired"] and r["paired"]["gained"] - r["paired"]["lost"], False),
    Column("McNemar's p", _of_pair(lambda v: wording.significant(v["p_value"])),
           lambda r: r["paired"] and r["paired"]["p_value"], False),
    Column("Same answer", _shown("agreement", lambda v: wording.percent(v["value"])),
           lambda r: r["agreement"] and r["agreement"]["value"], False),
    Column("Median ms", lambda r: median(r) if r["latency_ms"] else MISSING, _latency),
    Column("p90 ms", _shown("latency_ms", lambda v: wording.significant(v["p90"])),
           lambda r: r["latency_ms"] and r["latency_ms"]["p90"], False),
    Column("Size MB", _shown("size_bytes", wording.megabytes), lambda r: r["size_bytes"]),
    Column("gzip MB", _shown("gzip_bytes", wording.megabytes), lambda r: r["gzip_bytes"], False),
    Column("Heap MB", _shown("heap_bytes", wording.megabytes), lambda r: r["heap_bytes"], False),
    Column("TFLM arena MB", _shown("arena_bytes", wording.megabytes), lambda r: r["arena_bytes"], False),
    Column("MACs", _shown("macs", wording.millions), lambda r: r["macs"]),
    Column("Pareto front", _fronts, _fronts, number=False),
)  # fmt: skip


def text_across(found: Across) -> str:
    """For a terminal: the verdict, what is missing, then the table."""
    columns = [column for column in ACROSS_COLUMNS if column.brief]
    blocks = [
        section(found.verdict.headline, found.verdict.sentences),
        section("MISSING:", found.missing),
        aligned(columns, [[column.show(row) for column in columns] for row in found.rows]),
        wrapped(footnote_across(found)),
        [line for said in found.notes for line in wrapped(said)],
    ]
    return "\n\n".join(wording.printable_lines("\n".join(block)) for block in blocks if block)

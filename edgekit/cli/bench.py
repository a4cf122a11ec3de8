"""edgekit bench: latency, size and memory of .tflite files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from edgekit.cli.outcome import Outcome, shared_options

DEVICES = ("cpu",)


@click.command("bench")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE...]")
@click.option("--device", default="cpu", show_default=True, help="Where to measure: cpu.")
@click.option("--threads", type=click.IntRange(min=1), default=1, show_default=True, help="Interpreter threads.")
@click.option("--processes", type=click.IntRange(min=1), default=3, show_default=True, help="Fresh processes a file.")
@click.option("--runs", type=click.IntRange(min=1), default=100, show_default=True, help="Timed inferences, at least.")
@click.option("--seconds", type=click.FloatRange(min=0), help="Timed, at least; default 1, with --quick 0.1.")
@click.option("--quick", is_flag=True, help="Short warm-up, few runs.")
@shared_options
def command(
    files: tuple[Path, ...], device: str, threads: int, processes: int, runs: int, seconds: float | None, quick: bool
) -> Outcome:
    """Latency, size and memory of .tflite files on this machine.

    Without FILE: the chosen artifact of the newest finished run under ./runs.
    """
    from edgekit.cli.bar import reporter
    from edgekit.errors import UsageError, unknown
    from edgekit.measurement.bench import bench
    from edgekit.measurement.newest import newest_chosen

    if device not in DEVICES:
        raise unknown("device", device, DEVICES, UsageError)
    chosen = list(files) or [newest_chosen(Path("runs"))]
    with reporter() as progress:
        found = bench(
            chosen,
            threads=threads,
            processes=processes,
            min_runs=runs,
            min_seconds=seconds,
            quick=quick,
            progress=progress,
        )
    named = "" if files else f"The chosen file of the newest run: {chosen[0]}\n\n"
    return Outcome({"files": [one.to_json() for one in found]}, named + _text([one.summary() for one in found]))


def _text(rows: list[dict[str, Any]]) -> str:
    import pandas as pd

    table = pd.DataFrame([_line(row) for row in rows]).to_string(index=False)
    seen = rows[0]["conditions"]
    where = f"{seen['cpu']}, {seen['runtime']}, threads: {rows[0]['threads']}"
    doubts = [f"unstable: {row['file']}: {'; '.join(row['doubts'])}" for row in rows if row["doubts"]]
    return "\n".join([table, "", where, *doubts])


def _line(row: dict[str, Any]) -> dict[str, Any]:
    latency = row["latency_ms"]
    low, high = latency["ci95"]
    heap = row["heap_bytes"]
    return {
        "file": row["file"],
        "median ms [95 %]": f"{latency['median']:.4g} [{low:.4g}, {high:.4g}]",
        "p90": f"{latency['p90']:.4g}",
        "p99": f"{latency['p99']:.4g}",
        "n": latency["n"],
        "images/s": f"{row['images_per_second']:.4g}",
        "size kB": f"{row['size_bytes'] / 1000:.1f}",
        "gzip kB": f"{row['gzip_bytes'] / 1000:.1f}",
        "heap kB": "-" if heap is None else f"{heap / 1000:.1f}",
        "delegate": row["conditions"]["delegate"]["name"] or "-",
        "verdict": row["verdict"],
    }

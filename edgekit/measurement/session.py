"""One `edgekit bench`: which files, how they are measured, what they are held against, and where the results go."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit.artifact import load_artifact, sha256_of, write_text
from edgekit.errors import EdgekitError, EdgekitWarning, UsageError
from edgekit.measurement import store
from edgekit.measurement.bench import SideBySide
from edgekit.measurement.emulated.boards import board_of, is_emulated
from edgekit.measurement.emulated.count import PROCESSES
from edgekit.measurement.emulated.record import InstructionCount
from edgekit.measurement.emulated.sweep import Counted, count_all
from edgekit.measurement.fleet import Came, on_each
from edgekit.measurement.gate import Gated, check, gate, gate_beside, model_of, read_baseline, require_models
from edgekit.measurement.gpu import check_outputs
from edgekit.measurement.host import this_machine
from edgekit.measurement.look import Look, look
from edgekit.measurement.newest import newest_chosen
from edgekit.measurement.place import HERE, require_device
from edgekit.measurement.processing import time_processing
from edgekit.measurement.protocol import PROTOCOLS
from edgekit.measurement.record import Measurement
from edgekit.measurement.sweep import require_settings, settings, sweep
from edgekit.measurement.unfinished import Unfinished
from edgekit.progress import Reporter, silent

if TYPE_CHECKING:
    import pandas as pd

LIMIT_PERCENT = 5.0
NOTHING = Counted()


@dataclass(frozen=True)
class Wanted:
    """What was asked for. `out`, `store` and `table` are where results go; `store` None is the user's own."""

    files: tuple[Path, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    threads: tuple[int, ...] = (1,)
    batch: tuple[int, ...] | None = None
    xnnpack: str = "on"
    quick: bool = False
    mlperf: bool = False
    processes: int | None = None
    runs: int | None = None
    seconds: float | None = None
    with_preprocessing: bool = False
    image: Path | None = None
    baseline: Path | None = None
    max_regression_percent: float | None = None
    new_version: bool = False
    out: Path | None = None
    store: Path | None = None
    no_store: bool = False
    compare: bool = False
    table: Path | None = None
    profile: bool = False
    require_delegated: float | None = None

    def __post_init__(self) -> None:
        for device in self.timed:
            require_device(device)
        for device in self.counted:
            board_of(device)
        for wrong, fact in (
            (self.quick and self.mlperf, "--quick and --mlperf are two protocols."),
            (self.store is not None and self.no_store, "--store and --no-store exclude each other."),
            (self.image is not None and not self.with_preprocessing, "--image goes with --with-preprocessing."),
            (
                set(self.devices) != {"cpu"} and (self.profile or self.require_delegated is not None),
                "--profile and --require-delegated are of the device cpu.",
            ),
            (
                self.with_preprocessing and not set(self.devices) <= set(HERE),
                "--with-preprocessing is of this machine: cpu or gpu.",
            ),
            (
                bool(self.counted)
                and (self.threads != (1,) or self.mlperf or self.runs is not None or self.seconds is not None),
                "--threads, --mlperf, --runs and --seconds are of times; an emulated device counts instructions.",
            ),
            (
                bool(self.counted and self.timed) and self.table is not None,
                "--export takes times or counts of instructions, and these devices give both.",
            ),
            (len(set(self.devices)) < len(self.devices), "--device names one device twice."),
            (self.compare and self.baseline is not None, "--compare measures nothing that --baseline could check."),
            (
                self.baseline is None and (self.max_regression_percent is not None or self.new_version),
                "--max-regression-percent and --new-version go with --baseline.",
            ),
            (
                self.beside is not None and self.new_version,
                "--new-version goes with a --baseline of results; this one is a file, measured beside the others.",
            ),
            (
                self.table is not None and self.table.suffix not in store.EXPORTS,
                f"--export {self.table} ends in neither {' nor '.join(store.EXPORTS)}.",
            ),
        ):
            if wrong:
                raise UsageError(fact, "See: edgekit bench --help")

    @property
    def timed(self) -> tuple[str, ...]:
        """The devices that are measured."""
        return tuple(one for one in self.devices if not is_emulated(one))

    @property
    def counted(self) -> tuple[str, ...]:
        """The emulated ones, where instructions are counted."""
        return tuple(one for one in self.devices if is_emulated(one))

    @property
    def beside(self) -> Path | None:
        """The baseline that is itself measured, in turns with the files."""
        return model_of(self.baseline)

    @property
    def protocol(self) -> str:
        return "quick" if self.quick else "mlperf" if self.mlperf else "default"


@dataclass(frozen=True)
class Session:
    """What came of it, by device and altogether. `named` says which file was taken where none was given; `looks` is a
    file's where that was asked for; `counted` is of emulated devices."""

    devices: tuple[Came, ...]
    measurements: tuple[Measurement, ...]
    gated: tuple[Gated, ...]
    named: str
    looks: tuple[Look, ...] = ()
    counted: Counted = NOTHING

    @property
    def failed(self) -> EdgekitError | None:
        """The first device that failed, or the first check."""
        devices = (one.failure for one in self.devices)
        checks = (check(self.gated), check_outputs(self.measurements), *(one.failed for one in self.looks))
        return next(filter(None, (*devices, *checks, self.counted.failed)), None)

    def to_json(self) -> dict[str, Any]:
        return {
            "files": [one.to_json() for one in self.measurements],
            "comparisons": [
                {"device": came.device, **one.to_json()}
                for came in self.devices
                for setting in came.found
                for one in setting.comparisons
            ],
            "instructions": [one.to_json() for one in self.counted.counts],
            "gate": [*(one.to_json() for one in self.gated), *(one.to_json() for one in self.counted.gated)],
            "inside": [one.to_json() for one in self.looks],
            "failures": [one.to_json() for one in self.devices if one.failure],
        }


def measure(wanted: Wanted, progress: Reporter = silent) -> Session:
    """Measures, compares, checks against the baseline, and keeps the results. Raises as `bench` and `gate` do."""
    files = wanted.files or (newest_chosen(Path("runs")),)
    done = _time(files, wanted, progress) if wanted.timed else Session((), (), (), _named(files, wanted))
    if wanted.counted:
        done = replace(done, counted=_count(files, wanted, progress))
    if wanted.out:
        write_text(
            wanted.out, json.dumps(done.to_json(), allow_nan=False) + "\n"
        )  # a line: it can be millions of values
    return done


def _named(files: Sequence[Path], wanted: Wanted) -> str:
    return "" if wanted.files else f"The chosen file of the newest run: {files[0]}\n\n"


def _count(files: Sequence[Path], wanted: Wanted, progress: Reporter) -> Counted:
    counted = count_all(
        files, wanted.counted, batch=wanted.batch, xnnpack=wanted.xnnpack,
        processes=wanted.processes or (1 if wanted.quick else PROCESSES), baseline=wanted.baseline,
        max_regression_percent=wanted.max_regression_percent, new_version=wanted.new_version, progress=progress,
    )  # fmt: skip
    _export(store.count_frame(counted.counts), wanted)
    _keep(counted.counts, wanted)
    return counted


def _time(files: Sequence[Path], wanted: Wanted, progress: Reporter) -> Session:
    if wanted.beside:
        files = (wanted.beside, *files)
    baseline = read_baseline(wanted.baseline) if wanted.baseline and not wanted.beside else ()
    if baseline:
        require_models({str(path): _sha256(path) for path in files}, baseline, wanted.new_version)
    processing = _processing(files, wanted, progress)
    processes = wanted.processes
    if baseline and len(files) == 1 and processes is None:
        processes = PROTOCOLS[wanted.protocol].pairs  # as many as where files are compared
    came = _measured(files, wanted, processes, processing, progress)
    measured = tuple(one for device in came for setting in device.found for one in setting.measurements)
    _export(store.frame(measured), wanted)
    gated = _gated(came, measured, baseline, wanted)
    _warn_unclear(gated)
    return Session(came, measured, gated, _named(files, wanted), _looks(files, wanted, progress))


def _gated(
    came: Sequence[Came], measured: Sequence[Measurement], baseline: Sequence[Measurement], wanted: Wanted
) -> tuple[Gated, ...]:
    limit = LIMIT_PERCENT if wanted.max_regression_percent is None else wanted.max_regression_percent
    if wanted.beside:
        return gate_beside([setting for one in came for setting in one.found], limit)
    return gate(measured, baseline, max_regression_percent=limit, new_version=wanted.new_version) if baseline else ()


def _measured(
    files: Sequence[Path], wanted: Wanted, processes: int | None, processing: Mapping[str, Any], progress: Reporter
) -> tuple[Came, ...]:  # fmt: skip
    """Every device under every setting. What is finished is kept at once: in the store, and for the same command after
    one that was cut off."""
    under = {one: settings(wanted.threads, wanted.batch, wanted.xnnpack, one) for one in wanted.timed}
    every = [setting for settings_ in under.values() for setting in settings_]
    require_settings(files, every)
    how: dict[str, Any] = {
        "protocol": wanted.protocol, "processes": processes, "min_runs": wanted.runs, "min_seconds": wanted.seconds,
    }  # fmt: skip
    hashes = [(str(path), _sha256(path)) for path in files] if len(every) > 1 else []
    unfinished = Unfinished({**how, "files": hashes, "under": [asdict(one) for one in every]}, len(every))

    def work(device: str, progress: Reporter) -> Iterator[SideBySide]:
        for setting in under[device]:
            found = unfinished.finished(setting)
            if found is None:
                (found,) = sweep(files, [setting], **how, progress=progress)
                found = _with_processing(found, processing)
                _keep(found.measurements, wanted)
                unfinished.keep(setting, found)
            yield found

    came = on_each(wanted.timed, work, progress)
    if not any(one.failure for one in came):
        unfinished.done()
    return came


def _with_processing(found: SideBySide, processing: Mapping[str, Any]) -> SideBySide:
    return replace(
        found, measurements=tuple(replace(one, processing=processing.get(one.file)) for one in found.measurements)
    )


def _processing(files: Sequence[Path], wanted: Wanted, progress: Reporter) -> dict[str, Any]:
    """By file; the machine is waited for only where something is to be timed on it."""
    if not wanted.with_preprocessing:
        return {}
    with this_machine(progress):
        return {str(path): time_processing(path, wanted.image) for path in files}


def _looks(files: Sequence[Path], wanted: Wanted, progress: Reporter) -> tuple[Look, ...]:
    if not wanted.profile and wanted.require_delegated is None:
        return ()
    how = {"threads": wanted.threads[0], "profiled": wanted.profile, "required": wanted.require_delegated}
    short = {"min_runs": 20, "min_seconds": 0.1} if wanted.quick else {}
    return tuple(look(path, **how, **short, progress=progress) for path in files)  # type: ignore[arg-type]


def _export(rows: pd.DataFrame, wanted: Wanted) -> None:
    if wanted.table:
        store.export(rows, wanted.table)


def _keep(measured: Sequence[Measurement] | Sequence[InstructionCount], wanted: Wanted) -> None:
    """Into the store. What was measured is not lost to a full disk."""
    try:
        for one in () if wanted.no_store else measured:
            store.keep(one, wanted.store)
    except OSError as error:
        warnings.warn(
            f"The measurement is not in the store: {error.strerror} ({error.filename}).", EdgekitWarning, stacklevel=2
        )


def _warn_unclear(gated: Sequence[Gated]) -> None:
    for one in gated:
        if one.verdict == "unclear":
            warnings.warn(f"More than the limit is not excluded: {one.checked.sentence}.", EdgekitWarning, stacklevel=2)


@dataclass(frozen=True)
class Stored:
    """What the store holds: a row a measurement, a row a count of instructions, and tables of the newest as text."""

    rows: list[dict[str, Any]]
    counts: list[dict[str, Any]]
    text: str


def look_up(wanted: Wanted) -> Stored:
    """What the store holds, of the named files only where there are some; of emulated devices alone where only those
    are named. Raises UsageError for none."""
    hashes = {_sha256(path) for path in wanted.files}
    found = [one for one in store.stored(wanted.store) if not hashes or one.sha256 in hashes] if wanted.timed else []
    counts = [one for one in store.stored_counts(wanted.store) if not hashes or one.sha256 in hashes]
    if not (found or counts):
        where = wanted.store or store.default_store()
        raise UsageError(f"There is no such measurement in {where}.", "Measure first: edgekit bench FILE")
    rows, count_rows = store.frame(found), store.count_frame(counts)
    if wanted.table:
        store.export(rows if found else count_rows, wanted.table)
    tables = {"Median ms": store.table(found)} if found else {}
    tables |= {"Instructions an inference": store.count_table(counts)} if counts else {}
    text = "\n\n".join(
        f"{what}, the newest of each:\n\n{table.to_string(na_rep='-', float_format='{:.4g}'.format)}"
        for what, table in tables.items()
    )
    listed, counted = (json.loads(one.to_json(orient="records")) for one in (rows, count_rows))
    return Stored(listed, counted, text)


def _sha256(path: Path) -> str:
    return sha256_of(load_artifact(path).content)

"""The whole job: recipe, data, model, training, steps, variants, verification, evaluation, bench, choice, report.

This is the only module that knows the order. Each stage is finished once; a killed run continues on the same call.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekit import __version__
from edgekit.artifact import Artifact, Io, Variant, load_artifact, sha256_of, write_json, write_text
from edgekit.data.arrays import ArrayData, load_arrays
from edgekit.data.dataset import Dataset, load_data
from edgekit.diagnosis import diagnose
from edgekit.errors import CheckFailed, UsageError
from edgekit.ledger import ledger
from edgekit.lineage import Lineage
from edgekit.models.backend import require_exporting
from edgekit.progress import Progress, Reporter, silent
from edgekit.recipe import Recipe, load_recipe
from edgekit.recipe_fields import FLAGS
from edgekit.results import describe, failures, variant_rows, write_cards, write_results
from edgekit.run import Made, Run, now, open_run
from edgekit.runtime.arena import arena
from edgekit.stopwatch import measured, require_devices
from edgekit.subject import Subject, subject_of
from edgekit.trials import trials

if TYPE_CHECKING:
    import pandas as pd

RUNS = Path("runs")
WITH_IO: tuple[Variant, ...] = ("int8", "mixed")  # the other variants always take and give float32


@dataclass(frozen=True)
class Compressed:
    """A finished run. `results` is what the report is made of (docs/contracts.md, "Results")."""

    folder: Path
    recipe: Recipe
    results: Mapping[str, Any]
    artifacts: tuple[Artifact, ...]
    chosen: Artifact | None

    @property
    def table(self) -> pd.DataFrame:
        """One row a variant: size, accuracy, latency, memory, verdicts."""
        from edgekit.report.tables import variants_table

        return variants_table(self.results)

    def check(self) -> None:
        """Raises CheckFailed where a variant failed verification or no variant meets the budget."""
        if self.results["failures"]:
            raise CheckFailed(" ".join(self.results["failures"]), f"The files are kept in {self.folder / 'artifacts'}.")


def compress(
    recipe: Recipe | str | Path | None = None,
    *,
    out: str | Path | None = None,
    progress: Reporter = silent,
    **fields: Any,
) -> Compressed:
    """Runs a recipe (a value, a name or a file; `fields` are those of the command line: model="mobilenet", epochs=3).

    `out` is the run directory, by default runs/{model}-{data}-{hash}. The same call continues a run that was
    interrupted. `Compressed.check()` raises where a budget or the verification failed.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe, {FLAGS[name]: value for name, value in fields.items()})
    elif fields:
        raise TypeError("give a Recipe or fields to change in one, not both")
    require_exporting("Compressing")
    require_devices(recipe.steps)
    subject = subject_of(recipe)
    data = _data(recipe, subject, progress)
    folder = Path(out) if out else RUNS / _folder_name(recipe, subject, data)
    with open_run(folder) as run:
        return _Job(run, recipe, subject, data, progress).finish()


def _data(recipe: Recipe, subject: Subject, progress: Reporter) -> Dataset | ArrayData:
    """Images where the model takes one; else, or where asked for, arrays as the model takes them."""
    wanted, given = recipe.data, recipe.data.calibration
    preprocess = None if given and given.endswith(".npz") else subject.preprocess()
    if preprocess is None:
        if recipe.train.epochs or wanted.source or given is None:
            raise UsageError(
                f"{recipe.model.name} is not given images: it is neither trained nor evaluated here.",
                "Give --calibration FILE.npz with an array for each of its inputs, and neither --data nor --epochs.",
            )
        if recipe.diagnose.draws:
            raise UsageError(
                "Calibration draws are drawn from images, and the model is given arrays.", "Set diagnose.draws to 0."
            )
        return load_arrays(given, subject.inputs(), calibration_samples=wanted.calibration_images)
    labels = [step.name for step in recipe.steps if step.needs_labels]
    if (recipe.train.epochs or labels) and wanted.source is None:
        raise UsageError(
            f"{labels[0] if labels else 'Training'} needs images with labels.", "Give --data, or --epochs 0."
        )
    return load_data(
        wanted.source,
        preprocess=preprocess,
        calibration_images=wanted.calibration_images,
        calibration=given,
        classes=subject.classes,
        training=bool(recipe.train.epochs or labels),
        seed=recipe.seed,
        progress=progress,
    )


def _folder_name(recipe: Recipe, subject: Subject, data: Dataset | ArrayData) -> str:
    """Only what is not of the zoo, or calibrates apart, adds to the hash of the recipe and the data."""
    parts = [recipe.sha256(), data.sha256]
    parts += [value for name, value in sorted(subject.identity.items()) if name.endswith("_sha256")]
    parts += [data.calibration_sha256] if recipe.data.calibration and isinstance(data, Dataset) else []
    digest = hashlib.sha256("".join(parts).encode()).hexdigest()
    return f"{subject.name}-{Path(data.name).stem}-{digest[:8]}"


class _Job:
    """One recipe on its model and its data in one run directory."""

    def __init__(
        self, run: Run, recipe: Recipe, subject: Subject, data: Dataset | ArrayData, progress: Reporter
    ) -> None:
        self.run = run
        self.recipe = recipe
        self.subject = subject
        self.data = data
        self.progress = progress
        self.lineage = Lineage(run, recipe, subject, data, progress)
        # float32 is what every other variant is judged against, so it is always made.
        self.variants: tuple[Variant, ...] = tuple(dict.fromkeys(("float32", *recipe.variants)))

    def finish(self) -> Compressed:
        started = self._begin()
        trained = self.lineage.train()
        steps = self.lineage.take_steps()
        exported = {variant: self._export(variant) for variant in self.variants}
        files = {variant: self.run.file(made["file"]) for variant, made in exported.items()}
        diagnosis = diagnose(self.lineage, exported)
        evaluated = {variant: self._evaluate(variant, path) for variant, path in files.items() if self._labelled}
        measured = self._bench(files)
        steps_brought = ledger(self.lineage, exported)
        rows, choice = variant_rows(exported, evaluated, measured, self.recipe.budget, self.run.folder)
        shown: Variant = choice.chosen or "float32"
        flipping = self._flipping(shown)
        self._gallery(flipping, evaluated)
        tried = trials(self.lineage, {name: files[name] for name in dict.fromkeys(("float32", flipping))})
        results = {
            **self._record(started, now(), choice.chosen and exported[choice.chosen]["file"]),
            "recipe": self.recipe.model_dump(mode="json"),
            "versions": exported["float32"]["card"]["versions"],
            "dataset": describe(self.data),
            "training": trained,
            "steps": steps,
            "ledger": steps_brought,
            "mixed": exported.get("mixed", {}).get("mixed"),
            "diagnosis": diagnosis,
            **tried,
            "variants": rows,
            "latency": measured,
            "evidence": self._evidence(flipping, evaluated),
            "inside": self._look(shown, files[shown]),
            "failures": failures(rows, choice, exported),
        }
        write_cards(self.run, self.recipe, exported, rows)
        self._tell("report", 0, "")
        write_results(self.run, results)
        write_json(self.run.file("run.json"), {key: results[key] for key in self._record("", None, None)})
        return self._compressed(results, files, choice.chosen)

    def _begin(self) -> str:
        """run.json without a finish time, until everything else is written."""
        write_text(self.run.file("recipe.yaml"), self.recipe.to_yaml())
        started = now()
        write_json(self.run.file("run.json"), self._record(started, None, None))
        return started

    def _record(self, started: str, finished: str | None, chosen: str | None) -> dict[str, Any]:
        return {
            "schema": 1,
            "edgekit": __version__,
            "model": self.subject.name,
            "data": self.data.name,
            "recipe_sha256": self.recipe.sha256(),
            "data_sha256": self.data.sha256,
            "started": started,
            "finished": finished,
            "chosen": chosen,
        }

    # ---- stages -------------------------------------------------------------------------------------------------

    @property
    def _labelled(self) -> bool:
        return bool(self.data.class_names)

    def _export(self, variant: Variant) -> Made:
        io = self.recipe.io if variant in WITH_IO else "float32"

        def work(state: Path) -> tuple[list[Path], Made]:
            self._tell("export", self.variants.index(variant), variant)
            exporter, report = self.lineage.exporter(variant), dict[str, Any]()
            if variant == "mixed":
                made, report = self._mix(exporter, io, state)
            else:
                made = exporter.write(self.run.file("artifacts"), variant, io, self.recipe)
            needed = arena(made.artifact.content)
            return [made.artifact.path], {
                "file": made.artifact.path.relative_to(self.run.folder).as_posix(),
                "card": made.artifact.card.model_dump(mode="json", by_alias=True),
                "parity": made.parity.to_json(),
                "arena_bytes": needed and needed.total,
                **self._against_float32(variant, exporter, made.artifact, io),
                **report,
            }

        inputs = {**self.lineage.exported_from(variant), "io": io, "in_file": self.recipe.in_file(variant, io)}
        if variant == "mixed":
            inputs["max_drop_points"] = self.recipe.budget.max_drop_points
        return self.run.stage(f"export-{variant}", inputs, work)

    def _mix(self, exporter: Any, io: Io, state: Path) -> tuple[Any, dict[str, Any]]:
        """The file, and how its float layers were found."""
        from edgekit.compression.mixed import mix

        found = mix(
            exporter,
            self.run.file("artifacts"),
            io=io,
            recipe=self.recipe,
            max_drop_points=self.recipe.budget.max_drop_points,
            against=self._float32().read_bytes(),
            progress=self.progress,
            state=state,
        )
        return found.exported, {"mixed": {**found.report, "reached": found.reached, "sentence": found.sentence}}

    def _float32(self) -> Path:
        """The file that all others are held against; it is the first one made."""
        return self.run.file("artifacts", f"{self.subject.name}_float32.tflite")

    def _against_float32(self, variant: Variant, exporter: Any, made: Artifact, io: Io) -> dict[str, Any]:
        """Without labels, how often a file that was made from another model than float32 says what float32 says."""
        if self._labelled or not exporter.classifier or not self.lineage.depth(variant):
            return {}
        from edgekit.evaluation.metrics import a_score_a_class, agreement
        from edgekit.evaluation.parity import run_all

        inputs = exporter.samples.reference(self.recipe.verify.images)
        fed = ((self._float32().read_bytes(), inputs), (made.content, exporter.samples.as_fed(inputs, io)))
        answers = [a_score_a_class(run_all(*one)[0].reshape(len(inputs[0]), -1)).argmax(axis=1) for one in fed]
        return {"agreement": agreement(*answers).to_json()}

    def _evaluate(self, variant: Variant, path: Path) -> Made:
        def work(_: Path) -> tuple[list[Path], Made]:
            from edgekit.evaluation.evaluate import evaluate

            self._tell("evaluate", self.variants.index(variant), variant)
            assert isinstance(self.data, Dataset)
            found = evaluate(path, self.data.test, load_artifact(path).card.preprocessing)  # type: ignore[union-attr]
            rows = self.run.file("results", f"evaluation_{variant}.csv")
            write_text(rows, found.to_frame().to_csv(index=False, lineterminator="\n"))
            return [rows], {**found.summary(), "rows": rows.relative_to(self.run.folder).as_posix()}

        inputs = {"file": sha256_of(path.read_bytes()), "data": self.data.sha256}
        return self.run.stage(f"evaluate-{variant}", inputs, work)

    def _bench(self, files: Mapping[Variant, Path]) -> Made:
        """variant -> the summary of each thread count, in the recipe's order."""
        wanted = self.recipe.bench

        def work(_: Path) -> tuple[list[Path], Made]:
            paths = list(files.values())
            found = [measured(paths, wanted, threads=threads, progress=self.progress) for threads in wanted.threads]
            raw = self.run.file("results", "latency.json")
            write_json(raw, [one.to_json() for turn in found for one in turn])
            return [raw], {variant: [turn[place].summary() for turn in found] for place, variant in enumerate(files)}

        inputs = {
            "files": [sha256_of(path.read_bytes()) for path in files.values()],
            "bench": wanted.model_dump(mode="json"),
        }
        return self.run.stage("bench", inputs, work)

    def _flipping(self, chosen: Variant) -> Variant:
        """The variant whose flips are worth a look: the chosen one, or where that is float32 the most quantized."""
        others = [name for name in ("int8", "mixed", *self.variants) if name in self.variants and name != "float32"]
        return chosen if chosen != "float32" or not others else others[0]  # type: ignore[return-value]

    def _gallery(self, variant: Variant, evaluated: Mapping[Variant, Made]) -> None:
        """Images that `variant` gets wrong, or float32 does, for the report; none without labels."""
        if not evaluated:
            return

        def work(_: Path) -> tuple[list[Path], Made]:
            from edgekit.gallery import gallery
            from edgekit.looks import with_looks

            assert isinstance(self.data, Dataset)
            answers = [self.run.file(evaluated[name]["rows"]) for name in ("float32", variant)]
            path = self.run.file("results", "gallery.json")
            shown = gallery(self.data.test, answers[0], answers[1], variant)
            write_json(path, with_looks(shown, self.lineage, self.data.test))
            return [path], {"file": path.relative_to(self.run.folder).as_posix()}

        answered = {name: evaluated[name]["sha256"] for name in ("float32", variant)}
        looks = {"grad_cam": self.recipe.diagnose.grad_cam}
        self.run.stage("gallery", {"files": answered, "data": self.data.sha256, **looks}, work)

    def _evidence(self, variant: Variant, evaluated: Mapping[Variant, Made]) -> Made | None:
        """The answers of `variant` beside those of float32, class by class; None without labels."""
        if not evaluated:
            return None
        from edgekit.evidence import evidence

        answers = [self.run.file(evaluated[name]["rows"]) for name in ("float32", variant)]
        return evidence(answers[0], answers[1], variant, self.data.class_names)

    def _look(self, variant: Variant, path: Path) -> Made:
        """Where the operators of the file run and how long they take; the report shows it."""
        wanted = self.recipe.bench

        def work(_: Path) -> tuple[list[Path], Made]:
            from edgekit.stopwatch import inside

            return [], inside(path, wanted)

        inputs = {"file": sha256_of(path.read_bytes()), "bench": wanted.model_dump(mode="json")}
        return {**self.run.stage("inside", inputs, work), "variant": variant}

    def _compressed(self, results: Made, files: Mapping[Variant, Path], chosen: Variant | None) -> Compressed:
        artifacts = {variant: load_artifact(path) for variant, path in files.items()}
        return Compressed(
            folder=self.run.folder,
            recipe=self.recipe,
            results=results,
            artifacts=tuple(artifacts.values()),
            chosen=next((made for variant, made in artifacts.items() if variant == chosen), None),
        )

    def _tell(self, stage: str, done: int, note: str) -> None:
        self.progress(Progress(stage, done, len(self.variants), note))

"""The models of a run: as trained, then after each step of the recipe. Each is kept in its stage, loaded when needed.

A variant is exported from one of them: float32 from the model as trained, int8 from the last one, the others from the
model behind the float steps.
"""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

from edgekit.artifact import Variant, write_json
from edgekit.data.arrays import ArrayData
from edgekit.data.dataset import Dataset
from edgekit.distil_config import Distil
from edgekit.metadata_config import Metadata
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.progress import Progress, Reporter
from edgekit.recipe import Recipe
from edgekit.recipe_names import is_path
from edgekit.run import Made, Run
from edgekit.subject import Subject
from edgekit.train_config import Train

WEIGHTS = "model.weights.h5"
MODEL = "model.keras"


class Lineage:
    """One recipe's models, in the run directory."""

    def __init__(
        self, run: Run, recipe: Recipe, subject: Subject, data: Dataset | ArrayData, progress: Reporter
    ) -> None:
        self.run, self.recipe, self.subject, self.data, self.progress = run, recipe, subject, data, progress
        self._built: Any = None

    # ---- training -----------------------------------------------------------------------------------------------

    def train(self) -> Made:
        """What training did: history, best epoch, seconds, advice."""
        if not self.recipe.train.epochs:
            return {"history": [], "best_epoch": 0, "seconds": 0.0, "advice": [], "notes": []}
        return self.run.stage("train", self._trained_from(), self._training)

    def _trained_from(self) -> dict[str, Any]:
        """What decides the weights: a change of any of it trains again."""
        return {**self.subject.identity, **self._taught_from(self.recipe.train)}

    def _taught_from(self, config: Train) -> dict[str, Any]:
        preprocess = self.data.preprocess.model_dump(mode="json") if isinstance(self.data, Dataset) else None
        return {
            "preprocess": preprocess,
            "data": self.data.sha256,
            "train": config.model_dump(mode="json"),
            "seed": self.recipe.seed,
        }

    def _training(self, state: Path) -> tuple[list[Path], Made]:
        from edgekit.training.fit import train

        assert isinstance(self.data, Dataset)  # arrays are not trained on, the pipeline says so
        model = self._built = self.subject.build(self.data.class_names)
        trained = train(
            model,
            self.data,
            self.recipe.train.model_copy(update={"distil": self._distil}),
            teacher=self._tutor,
            state_dir=state,
            seed=self.recipe.seed,
            progress=self.progress,
        )
        kept = [state / WEIGHTS, self.run.file("artifacts", f"{self.subject.name}.keras")]
        kept[1].parent.mkdir(parents=True, exist_ok=True)
        for save, path in zip((model.save_weights, model.save), kept, strict=True):
            save(_beside(path))
            _beside(path).replace(path)
        return kept, {
            "history": trained.history.to_dict("records"),
            "best_epoch": trained.best_epoch,
            "seconds": trained.seconds,
            "advice": list(trained.advice),
            "notes": list(trained.notes),
        }

    # ---- teachers -----------------------------------------------------------------------------------------------

    @functools.cached_property
    def _distil(self) -> Distil | None:
        """As the recipe says, with files in place of the teachers that this run trains."""
        asked = self.recipe.train.distil
        if asked is None or asked.teacher_epochs is None:
            return asked
        files = tuple(name if is_path(name) else self._teacher(name, asked.teacher_epochs) for name in asked.teacher)
        return asked.model_copy(update={"teacher": files})

    @functools.cached_property
    def _tutor(self) -> Any:
        """The Teacher of the recipe, one for training and steps; None without."""
        from edgekit.training.teacher import teacher_of

        data = self.data
        return teacher_of(self._distil, data) if self._distil and isinstance(data, Dataset) else None

    def _teacher(self, name: str, epochs: int) -> str:
        """A network of the zoo, trained on the images as the model takes them."""

        def work(state: Path) -> tuple[list[Path], Made]:
            from edgekit.training.fit import train

            assert isinstance(self.data, Dataset)
            import_keras("A teacher").utils.set_random_seed(self.recipe.seed)
            shape = (self.data.preprocess.height, self.data.preprocess.width, 3)
            model = build(name, classes=len(self.data.class_names), input_shape=shape)
            trained = train(model, self.data, config, state_dir=state, seed=self.recipe.seed, progress=self._as(stage))
            kept = state / MODEL
            model.save(_beside(kept))
            _beside(kept).replace(kept)
            return [kept], {"history": trained.history.to_dict("records")}

        stage = f"teacher-{_for_stages(name)}"
        config = self.recipe.train.model_copy(update={"epochs": epochs, "distil": None, "fine_tune": None})
        self.run.stage(stage, {"model": name, **self._taught_from(config)}, work)
        return str(self.run.file("stages", stage, MODEL))

    def _as(self, stage: str) -> Reporter:
        def tell(at: Progress) -> None:
            self.progress(replace(at, stage=stage))

        return tell

    # ---- steps --------------------------------------------------------------------------------------------------

    def take_steps(self) -> list[Made]:
        """What each step did: its name, configuration and report, and what it means for the files."""
        return [self._step(number) for number in range(len(self.recipe.steps))]

    def _step(self, number: int) -> Made:
        def work(state: Path) -> tuple[list[Path], Made]:
            from edgekit.compression.steps import take

            context = self._context(state, step.needs_teacher)
            stepped = take(self._before(number), step, context)
            model, report = state / MODEL, state / "report.json"
            stepped.model.save(_beside(model))
            _beside(model).replace(model)
            write_json(report, stepped.to_json())
            return [model, report], {
                "name": step.name,
                "config": step.config.model_dump(mode="json"),
                **stepped.to_json(),
                "softmax": context.softmax,
                "classifier": context.classifier,
            }

        step = self.recipe.steps[number]
        return self.run.stage(self._stage(number), self._stepped_from(number + 1), work)

    def _stage(self, number: int) -> str:
        return f"step-{number}-{self.recipe.steps[number].name}"

    def _stepped_from(self, depth: int) -> dict[str, Any]:
        """What decides the model behind so many steps."""
        if not depth:
            return self._trained_from()
        return {
            **self._trained_from(),
            **self._calibrated_from(),
            "steps": [step.model_dump(mode="json") for step in self.recipe.steps[:depth]],
        }

    def _calibrated_from(self) -> dict[str, Any]:
        found = {"calibrated_on": self.data.calibration_sha256} if isinstance(self.data, Dataset) else {}
        return {**found, "calibration": self.recipe.data.calibration_images,
                "quantize": self.recipe.quantize.model_dump(mode="json")}  # fmt: skip

    def _context(self, state: Path, taught: bool) -> Any:
        from edgekit.compression.step_context import StepContext
        from edgekit.exporting.export import gives_probabilities
        from edgekit.stopwatch import meter

        probabilities = gives_probabilities(self._original)
        return StepContext(
            data=self.data,
            state=state,
            train=self.recipe.train,
            quantize=self.recipe.quantize,
            limits=self.recipe.verify,
            softmax=self.subject.softmax() or probabilities,
            classifier=bool(self.data.class_names) or probabilities,
            seed=self.recipe.seed,
            progress=self.progress,
            teacher=self._tutor if taught else None,
            meter=functools.partial(meter, self._written, self.recipe.bench),
        )

    def _written(self, model: Any, folder: Path) -> Path:
        """The file that a step's model is measured as: int8 where the recipe makes that, else float32."""
        from edgekit.exporting.export import Exporter

        variant: Variant = "int8" if "int8" in self.recipe.variants else "float32"
        exporter = Exporter(model, self.data, softmax=self.subject.softmax(), classifier=False,
                            quantize=self.recipe.quantize, metadata=Metadata(golden=False))  # fmt: skip
        return exporter.write(folder, variant).artifact.path

    # ---- models -------------------------------------------------------------------------------------------------

    @functools.cached_property
    def _original(self) -> Any:
        """As trained, or as it came."""
        if self._built is None:
            self._built = self.subject.build(self.data.class_names)
            if self.recipe.train.epochs:
                self._built.load_weights(self.run.file("stages", "train", WEIGHTS))
        return self._built

    def _before(self, number: int) -> Any:
        """The model that a step takes: from the file, so that a run that was killed goes on with the very same."""
        if number:
            return self._load(number)
        from edgekit.exporting.export import gives_probabilities
        from edgekit.models.head import on_logits

        return on_logits(self._original) if gives_probabilities(self._original) else self._original

    def _load(self, depth: int) -> Any:
        import keras

        import edgekit.models.fake_quant  # noqa: F401 - its layers can be loaded then
        from edgekit.models.custom import load_custom

        custom = self.recipe.model.custom
        objects = load_custom(None if custom is None else Path(custom))
        path = self.run.file("stages", self._stage(depth - 1), MODEL)
        return keras.saving.load_model(path, custom_objects=objects, compile=False)

    # ---- export -------------------------------------------------------------------------------------------------

    def depth(self, variant: Variant) -> int:
        """How many steps lie behind the model that a variant is exported from."""
        steps = self.recipe.steps
        ends = {"float32": 0, "int8": len(steps)}
        return ends.get(variant, sum(not step.quantizing for step in steps))

    def exported_from(self, variant: Variant) -> dict[str, Any]:
        """What decides a variant's file."""
        return self.exported_at(self.depth(variant), variant)

    def exported_at(self, depth: int, variant: Variant) -> dict[str, Any]:
        """What decides a file that is exported from the model behind so many steps."""
        return {
            **self._stepped_from(depth),
            **self._calibrated_from(),
            "variant": variant,
            "verify": self.recipe.verify.model_dump(mode="json"),
            "temperature": self.recipe.temperature,
        }

    def exporter(self, variant: Variant) -> Any:
        """Made when the first variant of its model is exported; a run whose files are all there needs no TensorFlow."""
        return self.exporter_at(self.depth(variant))

    @functools.lru_cache(maxsize=3)  # noqa: B019 - as long as the run; variants are made of no more models than three
    def exporter_at(self, depth: int) -> Any:
        """Of the model behind so many steps."""
        from edgekit.exporting.export import Exporter, gives_probabilities

        if depth:
            made = self._step(depth - 1)
            model, softmax, classifier = self._load(depth), made["softmax"], made["classifier"]
        else:
            model, softmax = self._original, self.subject.softmax()
            classifier = bool(self.data.class_names) or gives_probabilities(model)
        return Exporter(
            model,
            self.data,
            name=self.subject.name,
            limits=self.recipe.verify,
            softmax=softmax,
            classifier=classifier,
            quantize=self.recipe.quantize,
            metadata=self.recipe.metadata,
            temperature=self.recipe.temperature,
        )


def _for_stages(name: str) -> str:
    return name.replace(":", "_")


def _beside(path: Path) -> Path:
    """A file is written under a name with a dot first, then renamed. Keras insists on the ending."""
    return path.with_name(f".{path.name}")

"""Every command of the README and of docs/ is one that edgekit takes; the cheap ones are run as they are written.

One that takes long (training, mostly) is resolved instead: the real command line parses its options, and its recipe is
loaded. What needs a network, a device or another machine is in EXCEPTED.
"""

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# In the order in which a newcomer reads them: a page may use what an earlier one has made.
TAUGHT = ("quick-start", "your-own-data", "your-own-model", "choosing-a-recipe", "report", "troubleshooting")

# What a command line has in it -> why it is not run.
EXCEPTED = {
    "--device rpi": "a device", "--device NAME": "a device", "device add": "a device", "device check": "a device",
    "--device gpu": "a GPU", "runtime add": "network", "--weights imagenet": "network", "keras:": "network",
    "edgekit gate": "docs/ci-gate.md has its own tests", "edgekit doctor": "minutes: tests/findings runs it",
    "edgekit verify": "minutes: tests/verification runs it", "--mlperf": "minutes",
}  # fmt: skip
# Commands that train are resolved; these are run.
RUN = ("--out runs/first", "--out runs/mine")
LONG = {
    "edgekit compress": RUN,
    "edgekit bench": ("--quick --processes 2", "--require-delegated"),
    "edgekit reproduce": (),
}
SHORT = ("--set", "bench.runs=20", "--set", "bench.seconds=0", "--set", "bench.processes=1")
FEWER = ("--set", "train.epochs=1")  # where the page trains


@dataclass(frozen=True)
class Command:
    page: str
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} {self.text}"

    @property
    def words(self) -> list[str]:
        return shlex.split(self.text, comments=True)[1:]

    def has(self, texts: tuple[str, ...]) -> bool:
        return any(one in self.text for one in texts)


def commands(page: Path) -> Iterator[Command]:
    """Lines of indented or fenced blocks that begin with edgekit."""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if re.match(r"    edgekit [a-z]\S* ?[^ ]", line) and "FILE" not in line.split("#")[0]:
            yield Command(page.stem, number, line.strip())


ALL = [one for page in PAGES for one in commands(page) if "   " not in one.text.split("#")[0].strip()]


def excepted(one: Command) -> str:
    return next((why for text, why in EXCEPTED.items() if text in one.text.split("#")[0]), "")


def is_long(one: Command) -> bool:
    return any(one.text.startswith(begin) and not one.has(run) for begin, run in LONG.items())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A working directory with what the pages name: photos/, calibration/, unlabelled/, my.keras, model.tflite ..."""
    import keras
    import numpy as np
    from PIL import Image

    import edgekit as ek
    from edgekit.train_config import Train
    from edgekit.training.fit import train

    root = tmp_path_factory.mktemp("docs")
    generator = np.random.default_rng(0)
    for label, colour in {"cat": (200, 60, 60), "dog": (60, 200, 60), "owl": (60, 60, 200)}.items():
        for number in range(60):
            pixels = np.clip(generator.normal(colour, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
            for folder in (f"photos/{label}", "unlabelled"):
                (root / folder).mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(root / folder / f"{label}{number}.png")
    (root / "labels.txt").write_text("cat\ndog\nowl\n")
    data = ek.load_data(root / "photos", preprocess=ek.preset("unit", 32, 32))
    keras.utils.set_random_seed(0)
    model = ek.build("lenet5", classes=3, input_shape=(32, 32, 3))
    train(model, data, Train(epochs=4, batch_size=16), seed=0)  # random weights answer by a hair, and int8 otherwise
    model.save(root / "my.keras")
    exported = ek.export(model, root / "made", dataset=data, variants=("float32", "int8"))
    for made, name in zip(exported, ("float32", "model"), strict=True):
        (root / f"{name}.tflite").write_bytes(made.content)
    return root


def test_there_are_commands_on_every_page_that_teaches() -> None:
    assert {one.page for one in ALL} >= {"README", *TAUGHT}
    assert sum(not excepted(one) and not is_long(one) for one in ALL) >= 30


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text("utf-8"), flags=re.DOTALL)
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", text):
        assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_every_command_is_one_that_edgekit_takes() -> None:
    for one in ALL:
        if not excepted(one):
            resolve(one)


def test_the_cheap_commands_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 1 is a check that failed, which is an answer too."""
    from edgekit.cli import main

    monkeypatch.chdir(place)
    cheap = [one for one in ALL if one.page in TAUGHT and not excepted(one) and not is_long(one)]
    for one in sorted(cheap, key=lambda one: (TAUGHT.index(one.page), one.line)):
        short = (*SHORT, *FEWER * ("--epochs" in one.words)) if one.words[0] == "compress" else ()
        assert main([*one.words, *short]) in (0, 1), f"{one} failed"
    assert (place / "for-my-pi").is_dir() and (place / "comparison.html").is_file()


def resolve(one: Command) -> None:
    """Parses the options with the command line's own parser, and for compress loads the recipe they mean."""
    import click

    from edgekit.cli import group
    from edgekit.cli.compress import PREPROCESSING, _value
    from edgekit.recipe import load_recipe
    from edgekit.recipe_fields import FLAGS, parse_set

    words, command = one.words, group.get_command(click.Context(group), one.words[0])
    assert command, f"{one}: there is no such command"
    if isinstance(command, click.Group) and len(words) > 1:
        command, words = command.get_command(click.Context(command), words[1]), words[1:]
        assert command, f"{one}: there is no such command"
    context = command.make_context(words[0], [*words[1:]], resilient_parsing=False)
    if words[0] != "compress":
        return
    given = {name: value for name, value in context.params.items() if name in FLAGS and name not in PREPROCESSING}
    fields = {FLAGS[name]: _value(name, value) for name, value in given.items() if value is not None}
    load_recipe(context.params["recipe"], {**fields, **parse_set(context.params["assignments"])})


def test_the_python_of_the_page(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    text = (ROOT / "docs" / "python-api.md").read_text("utf-8")
    names: dict[str, object] = {}
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(compile(block, "docs/python-api.md", "exec"), names)
    assert (place / "answers.csv").is_file() and (place / "bundled").is_dir()

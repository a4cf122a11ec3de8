"""The shipped preprocessing in each language, executed, against edgekit's own in Python: equal to the bit.

Pictures of odd sizes through every filter, and the golden vectors of a bundle. Swift has no compiler here.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from edgekit.bundles.bundle import bundle
from edgekit.data.images import decode, resize
from edgekit.preprocess import Preprocess
from tests.bundles.cases import Case, cases, stored

TEMPLATES = Path(__file__).parents[2] / "edgekit" / "bundles" / "templates"
CLIENTS = Path(__file__).parent / "clients"
JAR = Path("/usr/share/java/kotlin-stdlib.jar")
KOTLINC = shutil.which("kotlinc")


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"no {program} here")


@pytest.fixture(scope="module")
def given(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Case], Path]:
    them = list(cases())
    file = tmp_path_factory.mktemp("cases") / "cases.bin"
    file.write_bytes(stored(them))
    return them, file


def run(*command: str | Path) -> str:
    ended = subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=300)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def assert_equal(written: bytes, them: list[Case]) -> None:
    """Says the first case that differs, which bytes alone would not."""
    at = 0
    for one in them:
        wanted = one.expected()
        assert written[at : at + len(wanted)] == wanted, one.wanted
        at += len(wanted)
    assert at == len(written)


def test_the_cases_reach_every_step(given: tuple[list[Case], Path]) -> None:
    them, _ = given
    assert len(them) == 4 * 2 * 2 * 8 and len({one.wanted for one in them}) > 100
    assert {bool((one.rgba[..., 3] < 255).any()) for one in them} == {True, False}
    grown = [one.wanted.height > one.rgba.shape[0] for one in them]
    assert 20 < sum(grown) < len(them) - 20


@needs("node")
def test_javascript(given: tuple[list[Case], Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("node", CLIENTS / "run.mjs", TEMPLATES / "web" / "preprocess.js", given[1], out)
    assert_equal(out.read_bytes(), given[0])


@needs("g++")
@pytest.mark.parametrize("flags", [("-O0", "-fsanitize=address,undefined", "-fno-sanitize-recover"), ("-O3", "-mfma")],
                         ids=["sanitized", "fused"])  # fmt: skip
def test_cpp(given: tuple[list[Case], Path], tmp_path: Path, flags: tuple[str, ...]) -> None:
    """Where the processor fuses a multiplication and an addition, the compiler must not."""
    mcu, file, out = TEMPLATES / "mcu", tmp_path / "rgb.bin", tmp_path / "out"
    file.write_bytes(b"".join(one.stored()[:72] + one.rgb.tobytes() for one in given[0]))
    run("g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", *flags, "-I", mcu, "-o", tmp_path / "run",
        CLIENTS / "run.cc", mcu / "preprocess.cc")  # fmt: skip
    run(tmp_path / "run", file, out)
    assert_equal(out.read_bytes(), given[0])


@pytest.mark.slow
@pytest.mark.skipif(KOTLINC is None or not JAR.is_file(), reason="no Kotlin compiler here")
def test_kotlin(given: tuple[list[Case], Path], classifiers: dict[str, Path], tmp_path: Path) -> None:
    """The files of a bundle but the one that needs Android; its own check of the golden vectors; its name, which has
    everything in it that Kotlin reads inside a string; pictures that lie on their side."""
    made = Path(bundle(classifiers["fixed_uint8_io"], "android", tmp_path / "app").folder)
    sources = made / "src" / "main" / "java" / "edgekit"
    files = [sources / f"{name}.kt" for name in ("Preprocess", "SelfCheck", "Model")]
    run(str(KOTLINC), *files, CLIENTS / "Run.kt", "-d", tmp_path / "classes")
    out = tmp_path / "out"
    said = run("java", "-Djava.awt.headless=true", "-cp", f"{tmp_path / 'classes'}:{JAR}", "RunKt", given[1], out,
               made / "src" / "main" / "assets" / "edgekit").splitlines()  # fmt: skip
    assert_equal(out.read_bytes(), given[0])
    assert said[:4] == [f"golden/{n}.png: pixels equal, scores within 0.0, same class: passed" for n in range(3)] + [
        "self-check: passed"
    ]
    assert said[4:6] == ["self-check: NOT CHECKED, the model came without golden vectors", 'tiny "$x" <b>']
    picture = Image.fromarray(np.arange(18, dtype=np.uint8).reshape(3, 2, 3))
    assert said[6:] == [_turned(picture, orientation) for orientation in range(1, 9)]


def _turned(picture: Image.Image, orientation: int) -> str:
    picture.getexif()[274] = orientation
    upright = ImageOps.exif_transpose(picture)
    return f"{upright.width} {upright.height} {' '.join(map(str, np.asarray(upright).ravel()))}"


def test_python_is_the_same_file(classifiers: dict[str, Path], tmp_path: Path) -> None:
    made = Path(bundle(classifiers["fixed"], "rpi", tmp_path / "app").folder)
    package = TEMPLATES.parents[1]
    assert (made / "preparing.py").read_bytes() == (package / "data" / "preparing.py").read_bytes()
    assert (made / "quantization.py").read_bytes() == (package / "runtime" / "quantization.py").read_bytes()
    assert "edgekit." not in "".join(
        line for line in (made / "preparing.py").read_text().splitlines() if "import" in line.split("#")[0]
    )


def test_the_width_comes_first_in_every_pillow() -> None:
    """Pillow 13 begins with the height where that is cheaper: the same picture came out different in Pillow 12."""
    picture = np.random.default_rng(0).integers(0, 256, (300, 20, 3), np.uint8)
    wanted = Preprocess(height=10, width=15, resize="bicubic")
    narrowed = np.asarray(Image.fromarray(picture).resize((15, 300), Image.Resampling.BICUBIC))
    both = np.asarray(Image.fromarray(narrowed).resize((15, 10), Image.Resampling.BICUBIC))
    assert np.array_equal(resize(picture, wanted), both)


def test_swift_follows_kotlin() -> None:
    """What can be held of a transcription that nobody compiles: the same functions in the same order, the same
    arithmetic in them."""
    kotlin, swift = (
        (TEMPLATES / folder / f"Preprocess.{end}").read_text() for folder, end in (("android", "kt"), ("ios", "swift"))
    )
    names = ("centerSquare", "swapped", "nearest", "nearestPositions", "convolved", "weights", "fixed", "toByte",
             "alongRows", "alongColumns", "points", "keys", "pointSampled", "onWhite", "upright")  # fmt: skip
    for name in names:
        assert f"fun {name}(" in kotlin and f"func {name}(" in swift, name
    shared = (
        "(1.5 * d - 2.5) * d * d + 1.0", "(((d - 5.0) * d + 8.0) * d - 4.0) * -0.5",
        "((-0.5 * d + 2.5) * d - 4.0) * d + 2.0", "x > -0.5 && x <= 0.5", "255 * (255 - alpha) + 128",
    )  # fmt: skip
    for formula in shared:
        assert formula in kotlin and formula in swift, formula


def test_golden_pictures_decode_to_what_is_written_out(classifiers: dict[str, Path], tmp_path: Path) -> None:
    """What a microcontroller gets as raw pixels is what the others decode."""
    made = Path(bundle(classifiers["fixed_int8_io"], "mcu", tmp_path / "app").folder)
    apart = Path(bundle(classifiers["fixed_int8_io"], "rpi", tmp_path / "pi").folder)
    listed = (made / "golden.cc").read_text().split("const uint8_t kRgb1[] = {")[1].split("}")[0]
    pixels = np.array([int(one) for one in listed.replace("\n", "").split(",") if one.strip()], np.uint8)
    assert np.array_equal(pixels, decode(apart / "golden" / "1.png").ravel())

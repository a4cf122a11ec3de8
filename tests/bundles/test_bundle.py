"""Bundles as wholes: what is in them, that their self-checks work, that the same file gives the same bytes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from edgekit.artifact import sha256_of
from edgekit.bundles import android, ios, rpi
from edgekit.bundles.bundle import TARGETS, bundle
from edgekit.bundles.litertjs import PLACES
from edgekit.exporting.set_metadata import Changes, set_metadata
from tests.bundles.conftest import LABELS

SHOWN = [one.replace("\u202e", "\\u202e") for one in LABELS]  # what would turn the writing around is written out


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where LiteRT.js would be: nothing here runs it."""
    folder = tmp_path_factory.mktemp("packages") / "node_modules"
    for place in PLACES.values():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_text(place)
    for name in ("core", "wasm-utils"):
        (folder / "@litertjs" / name / "package.json").write_text('{"version": "2.5.3"}')
    return folder


@pytest.mark.parametrize("target", TARGETS)
def test_the_same_file_gives_the_same_bytes(
    classifiers: dict[str, Path], packages: Path, tmp_path: Path, target: str
) -> None:
    kind = "fixed_int8_io" if target == "mcu" else "fixed"
    given = packages if target == "web" else None
    first, second = (bundle(classifiers[kind], target, tmp_path / at / "app", given) for at in ("a", "b"))
    assert first.archive_sha256 == second.archive_sha256 == sha256_of(Path(first.archive).read_bytes())
    files = {str(one.relative_to(first.folder)): one for one in sorted(Path(first.folder).rglob("*")) if one.is_file()}
    assert tuple(sorted(files)) == first.files
    with zipfile.ZipFile(first.archive) as archive:
        assert archive.testzip() is None
        assert {one.filename: archive.read(one) for one in archive.infolist()} == {
            f"app/{name}": one.read_bytes() for name, one in files.items()
        }
        assert {(one.date_time, one.compress_type, one.external_attr >> 16) for one in archive.infolist()} == {
            ((1980, 1, 1, 0, 0, 0), zipfile.ZIP_STORED, 0o100644)
        }
    assert [one.name for one in (tmp_path / "a").iterdir()] in (["app", "app.zip"], ["app.zip", "app"])
    about = (Path(first.folder) / "README.md").read_text()
    assert "CC0-1.0" in about and "3 golden vectors" in about and "<b>" not in about


def test_the_raspberry_pi_client_runs_alone(classifiers: dict[str, Path], tmp_path: Path) -> None:
    """Without edgekit on its path: -I leaves the environment and the folder of work out."""
    folder = Path(bundle(classifiers["fixed_uint8_io"], "rpi", tmp_path / "app").folder)
    checked = _client(folder, "--self-check")
    assert checked.returncode == 0 and checked.stdout.splitlines()[-1].startswith("self-check: passed")
    answered = _client(folder, "--json", str(folder / "golden" / "1.png"))
    wanted = json.loads((folder / "model.json").read_text())
    assert json.loads(answered.stdout)["scores"] == pytest.approx(wanted["golden"][1]["scores"], abs=1e-3)
    assert wanted["labels"] == SHOWN
    assert _client(folder, str(folder / "README.md")).returncode == 3

    wanted["golden"][0]["scores"][0] += 1
    (folder / "model.json").write_text(json.dumps(wanted))
    failed = _client(folder, "--self-check")
    assert failed.returncode == 1 and failed.stdout.splitlines()[-1].startswith("self-check: FAILED")
    (folder / "model.json").write_text(json.dumps({**wanted, "golden": []}))
    assert _client(folder, "--self-check").stdout == "self-check: NOT CHECKED, the model came without golden vectors\n"


def _client(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = f"import sys, runpy; sys.path.insert(0, {str(folder)!r}); sys.argv = ['', *{list(arguments)!r}]; " \
           "runpy.run_path(sys.path[0] + '/classify.py', run_name='__main__')"  # fmt: skip
    return subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, timeout=60)


@pytest.mark.skipif(shutil.which("g++") is None, reason="no g++ here")
def test_the_microcontrollers_sources_compile_and_check_themselves(
    classifiers: dict[str, Path], tmp_path: Path
) -> None:
    folder = Path(bundle(classifiers["fixed_int8_io"], "mcu", tmp_path / "app").folder)
    labels = tmp_path / "labels.cc"
    labels.write_text('#include <cstdio>\n#include "model.h"\nint main() {\n'
                      "for (int at = 0; at < edgekit::kClasses; ++at) std::puts(edgekit::kLabels[at]);\n"
                      "return reinterpret_cast<uintptr_t>(edgekit::kModel) % 16 != 0; }\n")  # fmt: skip
    rest = [folder / f"{name}.cc" for name in ("preprocess", "self_check", "model", "golden")]
    assert _compiled(folder, folder / "check_on_host.cc", *rest).splitlines()[:3] == [
        f"golden vector {number}: pixels equal ({size} bytes of scratch)"
        for number, size in enumerate(_scratch(folder))
    ]
    assert _compiled(folder, labels, folder / "model.cc").splitlines() == SHOWN

    wrong = folder / "golden.cc"
    wrong.write_text(re.sub(r"(\d+)u, kScores1", "7u, kScores1", wrong.read_text()))
    assert "golden vector 1: pixels DIFFERENT" in _compiled(folder, folder / "check_on_host.cc", *rest, code=1)
    bare = set_metadata(classifiers["fixed_int8_io"], Changes(golden=False), tmp_path / "bare.tflite")
    other = Path(bundle(bare, "mcu", tmp_path / "bare").folder)
    rest = [other / f"{name}.cc" for name in ("preprocess", "self_check", "model", "golden")]
    assert "NOT CHECKED" in _compiled(other, other / "check_on_host.cc", *rest, code=1)


def _scratch(folder: Path) -> list[int]:
    """4 bytes for each weight, bound and sum of a column, and for the weights of one row."""
    listed = re.findall(r"kRgb\d, (\d+), (\d+),", (folder / "golden.cc").read_text())
    taps = [[-(-max(int(side) / 8, 1) // 1) * 2 + 1 for side in size] for size in listed]
    return [int(4 * ((across + 5) * 8 + down)) for across, down in taps]


def _compiled(folder: Path, *sources: Path, code: int = 0) -> str:
    program = folder.parent / "program"
    flags = ("-std=c++11", "-Wall", "-Wextra", "-Werror", "-O1")
    subprocess.run(["g++", *flags, "-I", folder, "-o", program, *sources], check=True, timeout=120)
    ended = subprocess.run([program], capture_output=True, text=True, timeout=30)
    assert ended.returncode == code, ended.stdout
    return ended.stdout


def test_swift_and_kotlin_strings_hold_what_a_file_says(classifiers: dict[str, Path], tmp_path: Path) -> None:
    kotlin = Path(bundle(classifiers["fixed"], "android", tmp_path / "android").folder)
    swift = Path(bundle(classifiers["fixed"], "ios", tmp_path / "ios").folder)
    assert 'NAME = "tiny \\"\\u0024x\\" <b>"\n' in (kotlin / "src/main/java/edgekit/Model.kt").read_text()
    assert 'name = "tiny \\"$x\\" <b>"\n' in (swift / "Sources/Model.swift").read_text()
    for labels in (kotlin / "src/main/assets/edgekit/labels.txt", swift / "Resources/labels.txt"):
        assert labels.read_text("utf-8").splitlines() == SHOWN
    assert "never compiled" in (swift / "README.md").read_text()


def test_what_is_pinned_is_what_the_tables_say() -> None:
    templates = Path(android.__file__).parent / "templates"
    wanted = (templates / "rpi" / "requirements.txt").read_text().splitlines()[1:]
    assert wanted == [f"{name}=={rpi.VERSIONS[name]}" for name in ("ai-edge-litert", "numpy", "pillow")]
    gradle = (templates / "android" / "dependencies.gradle.kts").read_text()
    assert f"com.google.ai.edge.litert:litert:{android.VERSIONS['litert']}" in gradle
    assert f"minSdk = {android.VERSIONS['min_sdk']}" in gradle
    assert f"'TensorFlowLiteSwift', '{ios.VERSIONS['TensorFlowLiteSwift']}'" in (templates / "ios/Podfile").read_text()

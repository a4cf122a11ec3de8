"""Damaged .tflite files through evaluate and bench: this process lives, and every one gets its sentence.

EDGEKIT_MUTANTS=1000 takes more of them than fit into the time of a suite.
"""

import collections
import json
import os

import numpy as np
import pytest

from edgekit.cli import main
from tests import tiny

MUTANTS = int(os.environ.get("EDGEKIT_MUTANTS", "150"))
EXIT_CODES = {0, 3, 4}


def mutant(content, generator):
    """The file with a few bytes changed, cut off, zeroed, moved or an offset replaced; about a fifth of each."""
    data = bytearray(content)
    kind, at = generator.integers(5), int(generator.integers(len(data)))
    if kind == 0:
        for place in generator.integers(len(data), size=generator.integers(1, 9)):
            data[place] ^= 1 << int(generator.integers(8))
    elif kind == 1:
        del data[at:]
    elif kind == 2:
        length = int(generator.integers(1, 65))
        data[at : at + length] = bytes(len(data[at : at + length]))
    elif kind == 3:
        other = int(generator.integers(len(data)))
        data[at : at + 16], data[other : other + 16] = data[other : other + 16], data[at : at + 16]
    else:
        at -= at % 4
        data[at : at + 4] = generator.integers(0, 256, 4, np.uint8).tobytes()
    return bytes(data)


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """(file, labelled images of its size) of two tiny files and, where they are there, MLPerf Tiny's int8 ones."""
    images = tiny.folder(tmp_path_factory.mktemp("tiny"), 6)
    found = [(tiny.tflite("int8"), images), (tiny.tflite("int8_io"), images)]
    for path, classes in zip(tiny.real_int8(), (10, 2), strict=False):
        folder = tmp_path_factory.mktemp(path.stem)
        found.append((path.read_bytes(), tiny.folder(folder, classes, classes=classes)))
    return found


def outcome(capfd, argv):
    """The exit code, after checking that one JSON document and no traceback came out."""
    code = main([*argv, "--json"])
    said = capfd.readouterr()
    assert "Traceback" not in said.out + said.err
    envelope = json.loads(said.out)
    assert code in EXIT_CODES and envelope["ok"] == (code == 0)
    assert code == 0 or (envelope["error"]["code"] != "internal" and "\n" not in envelope["error"]["message"])
    return code, (envelope["error"] or {"message": ""})["message"]


@pytest.mark.slow
def test_damaged_files(subjects, capfd, tmp_path):
    generator = np.random.default_rng(20240)
    file = tmp_path / "mutant.tflite"
    codes = collections.Counter()
    for number in range(MUTANTS):
        content, images = subjects[number % len(subjects)]
        file.write_bytes(mutant(content, generator))
        judged, why = outcome(capfd, ["evaluate", str(file), "--data", str(images), "--preprocess", "raw"])
        fast = ["--processes", "1", "--runs", "1", "--seconds", "0", "--quick"]
        measured, _ = outcome(capfd, ["bench", str(file), *fast])
        codes[judged, measured, "crash" if "crashes" in why else ""] += 1
    assert sum(codes.values()) == MUTANTS
    assert any(judged == 3 for judged, *_ in codes) and any(measured == 0 for _, measured, _ in codes)


@pytest.mark.slow
def test_a_hundred_damaged_files_beside_a_whole_one_and_in_a_sweep(subjects, capfd, tmp_path):
    generator = np.random.default_rng(6)
    file, fast = tmp_path / "mutant.tflite", ["--processes", "2", "--runs", "2", "--seconds", "0", "--quick"]
    codes = collections.Counter()
    for number in range(100):
        content, _ = subjects[number % len(subjects)]
        file.write_bytes(mutant(content, generator))
        beside = [str(tiny.path("int8")), str(file)]
        swept = [str(file), "--batch", "1,2", "--xnnpack", "off"]
        codes[outcome(capfd, ["bench", *beside, *fast])[0], outcome(capfd, ["bench", *swept, *fast])[0]] += 1
    assert sum(codes.values()) == 100 and codes[3, 3] > 20 and codes[0, 0] > 5

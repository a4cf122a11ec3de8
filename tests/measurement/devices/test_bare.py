"""A device with python3 alone: edgekit brings the runtime, measures, evaluates, and cleans up."""

from importlib import metadata

import numpy as np
import pytest

from edgekit.data.dataset import load_images
from edgekit.errors import BadInput, DeviceError, UsageError
from edgekit.evaluation.evaluate import evaluate
from edgekit.measurement.bench import bench
from edgekit.measurement.devices.accuracy import CHUNK_BYTES, evaluate_on
from edgekit.measurement.devices.inventory import add_device, find_device
from edgekit.measurement.devices.packages import clean
from edgekit.preprocess import Preprocess, preset
from tests import tiny
from tests.measurement.devices.bare import bare, kept, wheelhouse  # noqa: F401 - fixtures
from tests.measurement.devices.conftest import leftovers
from tests.measurement.test_place import added  # noqa: F401

FEW = {"protocol": "quick", "processes": 1, "min_runs": 10, "min_seconds": 0.0}
LITERT = f"ai-edge-litert {metadata.version('ai-edge-litert')}"


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Larger than the model's 8x8, so that there is something to resize."""
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    for index, (image, target) in enumerate(zip(tiny.pictures(30), tiny.targets(30), strict=True)):
        (folder / f"row{target}").mkdir(exist_ok=True)
        large = Image.fromarray(image).resize((24, 24), Image.Resampling.NEAREST)
        large.save(folder / f"row{target}" / f"{index:02d}.{'jpg' if index % 2 else 'png'}")
    return folder


def test_a_bench_brings_the_runtime_once_and_then_needs_no_network(bare, added, monkeypatch, tmp_path):  # noqa: F811
    seen = []
    found = bench(tiny.path("int8"), device="pi", **FEW, progress=seen.append)
    assert found.conditions["runtime"] == LITERT and found.conditions["numpy"] == np.__version__
    assert [folder.rsplit("-", 2)[0] for folder in kept(bare)] == ["ai-edge-litert", "numpy"] and not leftovers(bare)
    assert {one.stage for one in seen} == {"connect", "wheels", "send", "bench"}

    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))  # where there is nothing
    again = []
    assert bench(tiny.path("int8"), device="pi", **FEW, progress=again.append).conditions["runtime"] == LITERT
    assert {one.stage for one in again} == {"connect", "bench"}
    assert len(clean(find_device("pi")).removed) == 2 and kept(bare) == []


def test_an_evaluation_is_that_of_this_machine_image_by_image(bare, added, photos, monkeypatch):  # noqa: F811
    monkeypatch.setattr("edgekit.measurement.devices.accuracy.CHUNK_BYTES", 8 * 8 * 3 * 7)  # several chunks
    for variant, decode in (("int8_io", False), ("int8", True), ("float32", False)):
        split = load_images(photos, preset("raw", 8, 8))
        found = evaluate_on("pi", tiny.path(variant), split, batch_size=4, decode_on_device=decode)
        alone = evaluate(tiny.path(variant), split, batch_size=4)
        for one in (found.here, found.there):
            assert np.array_equal(one.predictions, alone.predictions) and one.summary() == alone.summary()
        assert found.equal.hits == found.equal.n == 30 and found.max_difference == 0.0 and found.flips == ()
        told = found.to_json()
        assert told["decoded"] == ("device" if decode else "host") and told["agreement"]["value"] == 1.0
        assert told["conditions"]["runtime"] == LITERT and len(told["states"]) >= 2
    assert leftovers(bare) == [] and CHUNK_BYTES > 1000


@pytest.mark.parametrize("how", [{"channels": "bgr"}, {"crop": "center"}, {"antialias": False, "resize": "bicubic"}])
def test_the_device_decodes_and_resizes_by_the_same_code(added, photos, how):  # noqa: F811
    """With what is installed: this very Python."""
    split = load_images(photos, Preprocess(height=8, width=8, **how))
    found = evaluate_on("pi", tiny.path("float32"), split, decode_on_device=True)
    assert found.equal.hits == 30 and found.max_difference == 0.0


def test_what_a_device_answers_otherwise_is_told(added, photos):  # noqa: F811
    """A runtime that gives other scores: the outputs are not equal, and which image flips is named."""
    site = added.home / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import ai_edge_litert.interpreter as litert\n"
        "plain = litert.Interpreter.get_tensor\n"
        "seen = []\n"
        "def get_tensor(self, index):\n"
        "    found = plain(self, index)\n"
        "    seen.append(0)\n"
        "    return found[:, ::-1] if len(seen) == 1 else found\n"
        "litert.Interpreter.get_tensor = get_tensor\n"
    )
    added.environment["PYTHONPATH"] = str(site)
    found = evaluate_on("pi", tiny.path("float32"), load_images(photos, preset("raw", 8, 8)), batch_size=1)
    assert (found.equal.hits, found.equal.n) == (29, 30) and found.max_difference > 0
    (flip,) = found.flips
    assert flip["name"] == found.here.names[0] and flip["host"] == flip["label"] != flip["device"]
    assert found.comparison.lost == 1 and found.there.top1.hits == 29


def test_what_is_not_evaluated_on_a_device(added, photos):  # noqa: F811
    split = load_images(photos, preset("raw", 8, 8))
    with pytest.raises(UsageError, match="cpu is of this machine"):
        evaluate_on("cpu", tiny.path("int8"), split)
    digits = load_images("digits", preset("raw", 8, 8))
    with pytest.raises(UsageError, match="in no files that a device could decode"):
        evaluate_on("pi", tiny.path("int8"), digits, decode_on_device=True)
    with pytest.raises(BadInput, match="expects 8x8 images"):
        evaluate_on("pi", tiny.path("int8"), load_images(photos, preset("raw", 9, 9)))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('{"ready": 30, "scores": "AAAA"}', "pi gave 3 bytes of scores for 30 images"),
        ('{"ready": 30, "scores": "A"}', "its scores are not base64"),
        ('{"ready": 30, "scores": "\\u001b"}', "pi gave an answer that is none"),
        ('{"ready": 30}', "pi gave an answer that is none"),
        ('{"ok": true}', "pi gave an answer that is none"),
    ],
)
def test_hostile_scores(added, photos, line, words):  # noqa: F811
    python3, count = added.home / "bin" / "python3", added.home / "count"
    plain = python3.read_text().splitlines()[1]
    # Its third python3 is the agent: after the facts and the keeper of the folder.
    python3.write_text(
        f'#!/bin/sh\necho >> {count}\n[ "$(wc -l < {count})" = 3 ] || {plain}\n'
        f"printf '%s\\n' '{line}'\nexec cat > /dev/null\n"
    )
    with pytest.raises(DeviceError, match=words) as refused:
        evaluate_on("pi", tiny.path("int8"), load_images(photos, preset("raw", 8, 8)))
    assert str(refused.value).isprintable() and leftovers(added) == []


def test_a_runtime_that_does_not_fit_says_so(added, tmp_path):  # noqa: F811
    """As that of another architecture would."""
    broken = added.home / "site" / "ai_edge_litert"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libLiteRt.so: wrong ELF class: ELFCLASS64')\n")
    for name in ("tflite_runtime", "tensorflow"):
        (broken.parent / f"{name}.py").write_text("raise ModuleNotFoundError('no', name=__name__)\n")
    added.environment["PYTHONPATH"] = str(broken.parent)
    with pytest.raises(DeviceError, match="ai-edge-litert cannot be imported: libLiteRt.so: wrong ELF class"):
        bench(tiny.path("int8"), device="pi", **FEW)


def test_a_device_that_no_wheel_serves(bare, added, monkeypatch, tmp_path):  # noqa: F811
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(DeviceError, match="No runtime for .tflite files has a wheel for pi: Python 3"):
        bench(tiny.path("int8"), device="pi", **FEW)
    add_device(find_device("pi").model_copy(update={"name": "other"}))
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "1")
    with pytest.raises(DeviceError, match="What other needs to run .tflite files cannot be fetched"):
        bench(tiny.path("int8"), device="other", **FEW)


def test_the_host_s_cache_is_checked_again(bare, added, tmp_path):  # noqa: F811
    bench(tiny.path("int8"), device="pi", **FEW)
    (numpy,) = (tmp_path / "cache" / "edgekit" / "wheels").glob("*/numpy-*.whl")
    good = numpy.read_bytes()
    numpy.write_bytes(b"damaged")
    clean(find_device("pi"))
    assert bench(tiny.path("int8"), device="pi", **FEW).conditions["runtime"] == LITERT and numpy.read_bytes() == good

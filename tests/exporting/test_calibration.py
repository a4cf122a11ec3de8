"""What calibrates: which method gives which ranges, and samples that tell nothing."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgekit.errors import BadInput, EdgekitWarning
from edgekit.evaluation.parity import run_all, worst_sqnr_db
from edgekit.exporting.calibration import Calibration, observed
from edgekit.exporting.convert import calibrate, convert, quantized
from edgekit.exporting.export import Exporter, export
from edgekit.exporting.freeze import freeze
from edgekit.quantize_config import Quantize
from edgekit.runtime.flatbuffer import parse, without_metadata
from edgekit.runtime.ranges import normalization_tensors
from tests.exporting.conftest import Trained

METHODS = ("quantile", "minmax", "percentile", "mse", "entropy")


def spiked(trained: Trained, quantize: Quantize, n: int = 40) -> Calibration:
    """Training images, one of them a hundred times too bright."""
    images = trained.dataset.calibration.read(range(n)).astype(np.float32) / 127.5 - 1
    images[3] *= 100
    ends = tuple((np.full((1, 8, 8, 3), end, np.float32),) for end in (-1, 1))
    return Calibration(lambda: ((one[None],) for one in images), ends, quantize)


def widths(trained: Trained, quantize: Quantize) -> dict[str, float]:
    """Tensor -> width of its range in a calibrated file."""
    tensors = parse(calibrate(freeze(trained.model), spiked(trained, quantize)).content).subgraphs[0].tensors
    return {one.name.decode(): float(one.quantization.max[0] - one.quantization.min[0])
            for one in tensors if one.quantization and one.quantization.max is not None}  # fmt: skip


def test_every_method_but_minmax_leaves_out_what_one_odd_image_adds(trained: Trained) -> None:
    found = {name: widths(trained, Quantize(calibration=name, percentile=96.0)) for name in METHODS}
    full = found.pop("minmax")
    for method, narrower in found.items():
        assert narrower.keys() == full.keys()
        assert all(narrower[name] <= full[name] * 1.0001 for name in full), method
        # That image is too much of all to be given up for the sake of squared errors.
        assert min(narrower[name] / full[name] for name in full) < (0.99 if method == "mse" else 0.5), method
        # The input keeps the whole range of pixels, the answers theirs: neither saturates.
        assert narrower["image"] == full["image"] == pytest.approx(2, rel=0.01)
        assert narrower["Identity"] == full["Identity"], method


def test_a_clipped_file_is_right_where_an_odd_image_spoils_the_other(trained: Trained) -> None:
    images = trained.dataset.val.read(range(100)).astype(np.float32) / 127.5 - 1
    frozen = freeze(trained.model)
    reference = run_all(convert(frozen, "float32"), (images,))

    def sqnr_db(quantize: Quantize) -> float:
        content = convert(frozen, "int8", calibration=spiked(trained, quantize))
        return worst_sqnr_db(reference, run_all(content, (images,))) or 0.0

    whole = sqnr_db(Quantize(calibration="minmax"))
    assert sqnr_db(Quantize()) > whole + 4
    assert sqnr_db(Quantize(calibration="percentile", percentile=96.0)) > whole + 3


def test_the_method_reaches_the_file_through_export(trained: Trained, tmp_path: Path) -> None:
    made = {}
    for name in METHODS:
        folder = tmp_path / name
        (artifact,) = export(trained.model, folder, dataset=trained.dataset, variants=("int8",),
                             quantize=Quantize(calibration=name))  # fmt: skip
        assert artifact.card is not None and artifact.card.verification["agreement"] >= 0.95
        made[name] = artifact.content
    assert len(set(made.values())) == len(METHODS)
    exporter = Exporter(trained.model, trained.dataset, quantize=Quantize(calibration="mse"))
    assert without_metadata(made["mse"]) == without_metadata(exporter.integer())


def test_named_tensors_are_left_in_float(trained: Trained) -> None:
    made = calibrate(freeze(trained.model), spiked(trained, Quantize()))
    graph = parse(made.content).subgraphs[0]
    first = graph.tensors[int(graph.operators[0].outputs[0])].name
    left = parse(quantized(made, "uint8", [first.decode()])).subgraphs[0]
    floats = [one.name for one in left.tensors if one.type == 0 and one.name == first]
    assert floats == [first]
    assert first not in [one.name for one in parse(quantized(made, "uint8")).subgraphs[0].tensors if one.type == 0]


def test_the_weights_of_a_layer_may_have_fewer_bits(trained: Trained) -> None:
    made = calibrate(freeze(trained.model), spiked(trained, Quantize()))
    graph = parse(made.content).subgraphs[0]
    first = graph.tensors[int(graph.operators[0].outputs[0])].name.decode()
    model = parse(quantized(replace(made, weight_bits={first: 4})))
    largest = [int(model.buffers[one.buffer].data.view(np.int8).max())
               for one in model.subgraphs[0].tensors if one.type == 9 and one.shape is not None
               and len(one.shape) == 4 and model.buffers[one.buffer].data is not None]  # fmt: skip
    assert sorted(largest) == [7, 127]


SAME = np.repeat(np.random.default_rng(0).normal(size=(1, 8, 8, 3)), 20, axis=0)
BLANK = np.broadcast_to(np.linspace(-1, 1, 20)[:, None, None, None], (20, 8, 8, 3))


@pytest.mark.parametrize(
    ("images", "says"),
    [
        (SAME, "All 20 calibration samples are the same"),
        (BLANK, "All 20 calibration samples are blank: each is of one value only"),
        (BLANK[:1], "All 1 calibration samples are blank"),
    ],
    ids=["same", "blank", "one blank"],
)
@pytest.mark.parametrize("variant", ["int8", "int16x8"])
def test_samples_that_tell_nothing_are_refused(trained: Trained, images: np.ndarray, says: str, variant: str) -> None:
    given = Calibration(lambda: ((one[None].astype(np.float32),) for one in images))
    with pytest.raises(BadInput, match=says) as refused:
        convert(freeze(trained.model), variant, calibration=given)  # type: ignore[arg-type]
    assert "edgekit data lint" in refused.value.remedy


def test_few_samples_are_warned_of(trained: Trained) -> None:
    with pytest.warns(EdgekitWarning, match="9 calibration samples are few"):
        calibrate(freeze(trained.model), spiked(trained, Quantize(), n=9))


def test_arrays_of_one_number_are_not_blank(trained: Trained) -> None:
    """A model may take single numbers."""
    from edgekit.models.backend import import_keras

    keras = import_keras("Testing")
    image, extra = keras.Input((4,), name="wide"), keras.Input((1,), name="one")
    model = keras.Model([image, extra], keras.layers.Dense(2)(keras.layers.Concatenate()([image, extra])))
    content = convert(freeze(model, softmax=False), "float32")
    generator = np.random.default_rng(0)
    given = [(np.ones((1, 4), np.float32), generator.normal(size=(1, 1)).astype(np.float32)) for _ in range(12)]
    ranges = observed(content, Calibration(lambda: given))
    assert {int(i) for i in parse(content).subgraphs[0].inputs} <= normalization_tensors(content) & set(ranges)

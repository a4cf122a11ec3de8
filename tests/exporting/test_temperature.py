"""A temperature that is folded into the files: no class changes, the confidence does."""

import numpy as np
import pytest

from edgekit.errors import BadInput, UsageError
from edgekit.evaluation.evaluate import evaluate
from edgekit.exporting.export import Exporter, export
from edgekit.models.backend import import_keras
from edgekit.runtime.flatbuffer import op_name, parse
from tests.evaluation.test_reliability import by_pandas
from tests.exporting.conftest import Trained

SURER = 0.2  # logits five times as large: deliberately over-confident


def operators(content: bytes) -> list[str]:
    model = parse(content)
    return [op_name(model, one) for one in model.subgraphs[0].operators]


def test_an_over_confident_file_is_mended_by_its_temperature(trained: Trained, tmp_path) -> None:
    over = Exporter(trained.model, trained.dataset, name="over", temperature=SURER).write(tmp_path, "float32").artifact
    sure = evaluate(over, trained.dataset.test)
    wanted = sure.temperature
    folding = Exporter(trained.model, trained.dataset, name="folded", temperature=SURER * wanted)
    folded = folding.write(tmp_path, "float32")
    mended = evaluate(folded.artifact, trained.dataset.test)
    assert np.array_equal(mended.predictions, sure.predictions) and wanted > 2
    assert mended.temperature == pytest.approx(1, abs=0.01)
    assert mended.reliability().ece == pytest.approx(sure.reliability(wanted).ece, abs=1e-3)
    for one in (sure, mended):
        assert one.reliability().ece == pytest.approx(by_pandas(one.confidence, one.correct, 15), abs=1e-9)
    assert mended.reliability().ece < sure.reliability().ece
    assert folded.artifact.card is not None
    assert folded.artifact.card.recipe["temperature"] == SURER * wanted and folded.parity.verified


def test_int8_files_have_it_too_and_no_operator_more(trained: Trained, tmp_path) -> None:
    plain, cool = (
        export(trained.model, tmp_path / str(number), dataset=trained.dataset, temperature=temperature)
        for number, temperature in enumerate((1.0, 3.0))
    )
    for before, after in zip(plain, cool, strict=True):
        assert operators(before.content) == operators(after.content)
    first, other = (evaluate(files[1], trained.dataset.test) for files in (plain, cool))
    assert (first.predictions == other.predictions).mean() > 0.97  # codes of the logits lie elsewhere
    assert other.confidence.mean() < first.confidence.mean() - 0.1
    assert cool[1].card is not None and cool[1].card.verification["float_ops"] == []


def test_where_it_cannot_be_folded_in(trained: Trained) -> None:
    keras = import_keras("Testing")
    own = keras.Sequential([trained.model, keras.layers.Softmax()], name="own")
    with pytest.raises(BadInput, match="ends in a softmax of its own"):
        Exporter(own, trained.dataset, temperature=2.0)
    with pytest.raises(BadInput, match="outputs are left as they are"):
        Exporter(trained.model, trained.dataset, softmax=False, temperature=2.0)
    for wrong in (0.0, -1.0, float("nan"), float("inf")):
        with pytest.raises(UsageError, match="temperature"):
            Exporter(trained.model, trained.dataset, temperature=wrong)

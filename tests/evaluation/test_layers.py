"""Where two files part, tensor by tensor, on files that edgekit exports from one network."""

import numpy as np
import pytest

from edgekit.data.dataset import load_data
from edgekit.errors import BadInput
from edgekit.evaluation.expects import Fed
from edgekit.evaluation.layers import layers
from edgekit.evaluation.metrics import sqnr_db
from edgekit.exporting.export import Exporter
from edgekit.models.backend import import_keras
from edgekit.models.zoo import build
from edgekit.preprocess import preset
from edgekit.runtime.interpreter import open_model
from tests.runtime.one_op import one_op


@pytest.fixture(scope="module")
def fed(tmp_path_factory):
    """An untrained network as float32 and int8."""
    import_keras("Testing").utils.set_random_seed(0)
    data = load_data("digits", preprocess=preset("tf", 8, 8))
    exporter = Exporter(build("resnet8", classes=10, input_shape=(8, 8, 3)), data)
    folder = tmp_path_factory.mktemp("files")
    return [Fed(exporter.write(folder, variant).artifact.path, data.test, data.preprocess)
            for variant in ("float32", "int8")]  # fmt: skip


def test_where_float_and_int8_part(fed):
    found = layers(*fed, images=20)
    ops = [one.op for one in found.rows]
    assert ops.count("CONV_2D") == 9 and ops[-3:] == ["MEAN", "FULLY_CONNECTED", "SOFTMAX"]
    assert (found.unmatched, found.images) == (0, 20)
    assert all(one.sqnr_db is not None and one.sqnr_db > 15 for one in found.rows)
    assert found.parting is not None and found.parting.lost_db == max(one.lost_db or 0 for one in found.rows)
    assert list(found.to_frame().columns) == ["tensor", "op", "sqnr_db", "lost_db"]


def test_the_last_tensor_is_what_the_files_give(fed):
    images = (fed[0].split.read(range(20)).astype(np.float32) - 127.5) / 127.5
    outputs = [
        np.concatenate([opened.run(image[None])[0] for image in images])
        for opened in (open_model(one.file) for one in fed)
    ]
    assert layers(*fed, images=20).rows[-1].sqnr_db == pytest.approx(sqnr_db(*outputs), abs=0.01)


def test_a_file_beside_itself_differs_nowhere(fed):
    found = layers(fed[0], fed[0], images=3)
    assert found.rows and all((one.sqnr_db, one.lost_db) == (None, None) for one in found.rows)
    assert found.parting is None and found.unmatched == 0


def test_files_of_different_models(fed, tmp_path):
    other = tmp_path / "other.tflite"
    other.write_bytes(one_op("RELU", inputs=((1, 8, 8, 3),), output=(1, 8, 8, 3)))
    with pytest.raises(BadInput, match="no tensor of one name"):
        layers(fed[0], Fed(other, fed[0].split, fed[0].preprocess))

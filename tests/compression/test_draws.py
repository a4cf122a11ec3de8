import json
from dataclasses import replace
from pathlib import Path

import pytest

from edgekit.compression.draws import spread
from edgekit.data.calibration import choose
from edgekit.errors import BadInput
from edgekit.exporting.export import Exporter
from tests.compression.unbalanced import digits, network


@pytest.fixture(scope="module")
def exporter() -> Exporter:
    dataset = digits()
    return Exporter(network(dataset), dataset, softmax=False)


def test_every_draw_is_calibrated_on_images_of_its_own(exporter: Exporter, tmp_path: Path) -> None:
    data = digits()
    found = spread(exporter, data, draws=3, images=20, state=tmp_path)
    assert len({one.sqnr_db for one in found.scores}) == 3 and found.images == 20
    second = Exporter(exporter.model, replace(data, calibration=choose(data.train, 20, 1)), softmax=False)
    assert spread(second, data, draws=2, images=20).scores == found.scores[:2]
    summary = found.to_json()
    assert json.loads(json.dumps(summary)) == summary and (summary["draws"], summary["n"]) == (3, len(data.val))
    values = summary["sqnr_db"]["values"]
    assert [summary["sqnr_db"][name] for name in ("min", "median", "max")] == sorted(values)
    assert spread(exporter, data, draws=3, images=20, state=tmp_path) == found


def test_draws_that_are_all_alike_are_refused(exporter: Exporter) -> None:
    data = digits()
    with pytest.raises(BadInput, match="all draws are alike"):
        spread(exporter, data, images=len(data.train))

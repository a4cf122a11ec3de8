import statistics

import pytest
from scipy.stats import t

from edgekit.measurement.spread import spread


def test_the_spread_of_a_figure_is_scipys() -> None:
    values = [0.97, 0.98, 0.985, 0.96]
    found = spread(values)
    mean, error = statistics.fmean(values), statistics.stdev(values) / 2
    assert found["ci95"] == pytest.approx(t.interval(0.95, 3, mean, error))
    assert (found["min"], found["max"], found["sd"]) == (0.96, 0.985, statistics.stdev(values))

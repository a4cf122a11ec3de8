import time
from dataclasses import replace

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.measurement import protocol


def runs(seed, n=300, median=1e6, spread=0.02):
    return (median * np.random.default_rng(seed).lognormal(0, spread, n)).astype(int).tolist()


def test_figures_are_those_of_all_processes_together():
    samples = [runs(0), runs(1), runs(2)]
    pooled = np.concatenate(samples) / 1e6
    found = protocol.latency(samples)
    assert found.n == 900
    assert (found.median, found.mean, found.minimum) == pytest.approx((np.median(pooled), pooled.mean(), pooled.min()))
    assert (found.p90, found.p99) == pytest.approx(tuple(np.quantile(pooled, [0.9, 0.99])))
    assert found.iqr == pytest.approx(np.quantile(pooled, 0.75) - np.quantile(pooled, 0.25))
    assert found.ci95[0] <= found.median <= found.ci95[1]


def test_interval_of_one_process_is_scipys_bootstrap():
    from scipy.stats import bootstrap

    sample = runs(3, n=201)
    expected = bootstrap((sample,), np.median, n_resamples=9999, method="percentile", rng=0).confidence_interval
    assert protocol.median_ci95([sample]) == pytest.approx((expected.low, expected.high), rel=2e-4)


def test_interval_of_several_processes_is_the_two_stage_bootstrap():
    samples = [runs(0, 101, 1.00e6), runs(1, 101, 1.03e6), runs(2, 101, 1.01e6)]
    generator = np.random.default_rng(1)
    medians = []
    for _ in range(4000):
        pool = np.concatenate([samples[p] for p in generator.integers(3, size=3)])
        medians.append(np.median(generator.choice(pool, len(pool))))
    assert protocol.median_ci95(samples) == pytest.approx(tuple(np.percentile(medians, [2.5, 97.5])), rel=2e-3)


def test_interval_is_seeded_and_covers_the_median():
    assert protocol.median_ci95([runs(0)]) == protocol.median_ci95([runs(0)])
    hits = [low <= 1e6 <= high for low, high in (protocol.median_ci95([runs(s, 100)]) for s in range(300))]
    assert 0.91 < np.mean(hits) < 0.98


def test_outliers_are_counted_and_kept():
    samples = [[*runs(0, 99), 50_000_000]]
    found = protocol.latency(samples)
    assert (found.outliers, found.n) == (1, 100) and found.mean > 1.4
    assert protocol.count_outliers(np.ones(50)) == 0


def test_the_interval_of_many_processes_and_runs_is_a_matter_of_moments():
    started = time.perf_counter()
    low, high = protocol.median_ci95([runs(seed, 20_000, 1e6 + 1e4 * seed) for seed in range(30)])
    assert time.perf_counter() - started < 5
    # 30 processes whose medians are 10 us apart: the middle is 1.145 ms, give or take the share that a draw moves.
    assert 1.09e6 < low < 1.13e6 < 1.16e6 < high < 1.20e6


def test_the_protocols():
    assert set(protocol.PROTOCOLS) == {"quick", "default", "mlperf"}
    mlperf = protocol.protocol_named("mlperf")
    assert (mlperf.runs, mlperf.seconds) == (1024, 60.0)
    changed = protocol.protocol_named("quick", runs=7, seconds=None, processes=2)
    assert changed == replace(protocol.PROTOCOLS["quick"], runs=7, processes=2)
    with pytest.raises(UsageError, match="Unknown protocol 'mlpref'.*Did you mean 'mlperf'"):
        protocol.protocol_named("mlpref")
    for wrong in ({"runs": 0}, {"processes": -1}, {"seconds": -0.5}, {"seconds": float("nan")}):
        with pytest.raises(UsageError, match=f"{next(iter(wrong))} is"):
            protocol.protocol_named("quick", **wrong)


def test_a_process_without_samples_is_an_error():
    for samples in ([], [[]], [[1], []]):
        with pytest.raises(ValueError, match="at least one sample"):
            protocol.latency(samples)

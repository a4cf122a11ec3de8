import numpy as np
import pytest

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


def test_a_steady_measurement_has_no_doubts():
    assert protocol.doubts([runs(0), runs(1)], [{"voluntary": 3, "involuntary": 2}, {}]) == ()


@pytest.mark.parametrize(
    ("samples", "switches", "words"),
    [
        ([runs(0) + [40_000_000] * 5], [{}], "times the median"),
        ([runs(0), runs(1, median=1.3e6)], [{}, {}], "the processes disagree: medians from 0.998 to 1.3 ms"),
        ([(np.linspace(1.0, 1.4, 300) * 1e6).astype(int).tolist()], [{}], "slower while it ran"),
        ([(np.linspace(1.4, 1.0, 300) * 1e6).astype(int).tolist()], [{}], "faster while it ran"),
        ([runs(0)], [{"involuntary": 60}], "interrupted 200 times a second"),
    ],
)
def test_doubts_have_reasons(samples, switches, words):
    found = protocol.doubts(samples, switches)
    assert len(found) == 1 and words in found[0]


def test_a_process_without_samples_is_an_error():
    for samples in ([], [[]], [[1], []]):
        with pytest.raises(ValueError, match="at least one sample"):
            protocol.latency(samples)

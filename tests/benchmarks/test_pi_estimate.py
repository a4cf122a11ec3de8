"""The estimates that the package gives are made of what the benchmark recorded."""

import json


def test_the_shipped_figures_are_the_recorded_ones() -> None:
    """On new results: python benchmarks/pi_estimate.py --ship"""
    from pi_estimate import SHIPPED, judged, recorded, shipped

    results = recorded()
    assert json.loads(SHIPPED.read_text("utf-8")) == shipped(results)
    if results:
        rows = results["raw"]["rows"]
        counts = {f"{row['network']} {row['computes']} on {row['device']}": row["instructions"] for row in rows}
        assert judged(counts) == rows

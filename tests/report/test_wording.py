import pytest

from edgekit.report import wording


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0"), (0.0214, "0.0214"), (0.2, "0.200"), (0.9996, "1.00"), (1.234, "1.23"), (12.34, "12.3"), (99.97, "100"),
     (999.6, "1,000"), (12345.6, "12,346"), (4.2e-8, "0.000000042")],
)  # fmt: skip
def test_three_significant_digits(value: float, shown: str) -> None:
    assert wording.significant(value) == shown


def test_units() -> None:
    assert wording.size(591_016) == "591 kB"
    assert wording.size(1_811_204) == "1.81 MB"
    assert wording.megabytes(None) == "not measured"
    assert wording.megabytes(591_016) == "0.591"
    assert wording.millions(5_941_888) == "5.94 M"
    assert wording.millions(99_999) == "99,999"
    assert wording.percent(0.98333333) == "98.33 %"
    assert wording.span((0.9642, 0.9924)) == "96.4 to 99.2 %"
    assert [wording.points(drop) for drop in (0.277, -0.1, 0.0)] == ["-0.28", "+0.10", "0.00"]
    assert [wording.seconds(spent) for spent in (3.25, 43.2, 59.9, 125, 7322)] == [
        "3.25 s", "43 s", "60 s", "2 min 5 s", "2 h 2 min"]  # fmt: skip


def test_what_moves_a_cursor_is_not_printed() -> None:
    assert wording.printable("a\x1b[2Jb\u202ec") == "a?[2Jb?c"

from edgekit.report.front import front


def test_what_no_other_point_beats() -> None:
    points = [(1.0, 0.90), (2.0, 0.95), (2.0, 0.93), (3.0, 0.95), (0.5, 0.90)]
    assert front(points) == (False, True, False, False, True)


def test_equal_points_are_both_on_it_and_none_is_on_none() -> None:
    assert front([(1.0, 0.9), (1.0, 0.9)]) == (True, True)
    assert front([]) == ()

import pytest
from ai_edge_litert import schema_py_generated as schema

from edgekit.errors import UsageError
from edgekit.runtime.gpu_ops import TAKEN
from edgekit.runtime.micro_ops import REGISTERED
from edgekit.runtime.op_versions import RELEASES, oldest_runtime, release, written


def test_versions_and_what_is_not_known() -> None:
    assert oldest_runtime("CONV_2D", 1) == (1, 5) and oldest_runtime("CONV_2D", 3) == (1, 14)
    assert oldest_runtime("TRANSPOSE", 7) == (2, 14, 4)
    assert oldest_runtime("BROADCAST_TO", 1) is None and oldest_runtime("CONV_2D", 99) is None
    assert oldest_runtime("CONV_2D", 0) is None and oldest_runtime("NO_SUCH_OPERATOR", 1) is None


@pytest.mark.parametrize("table", [RELEASES, TAKEN, REGISTERED], ids=["releases", "gpu", "micro"])
def test_tables_name_operators_of_the_schema(table: object) -> None:
    assert set(table) <= set(vars(schema.BuiltinOperator))  # type: ignore[call-overload]


def test_every_release_reads_and_none_goes_back() -> None:
    for op, text in RELEASES.items():
        known = [release(one) for one in text.split() if one != "-"]
        assert known == sorted(known), op


def test_releases_as_text() -> None:
    assert release("2.14") == release("2.14.0") == (2, 14) < release("2.14.4") < release("2.15")
    assert written((2, 14)) == "2.14"
    for odd in ("", "2", "2.x", "two", "2..1", "-1.2", "1.2.3.4.5", "2.99999999999"):
        with pytest.raises(UsageError):
            release(odd)

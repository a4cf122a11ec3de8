from edgekit.errors import BadInput, CheckFailed, DeviceError, MissingExtra, UsageError, unknown


def test_every_family_has_its_exit_code() -> None:
    codes = {kind: kind.exit_code for kind in (CheckFailed, UsageError, BadInput, DeviceError, MissingExtra)}
    assert codes == {CheckFailed: 1, UsageError: 2, BadInput: 3, DeviceError: 4, MissingExtra: 2}


def test_unknown_lists_the_closest_first() -> None:  # R30
    error = unknown("model", "mobilnet", ["resnet8", "mobilenet", "lenet5"])
    assert isinstance(error, BadInput)
    assert str(error) == "Unknown model 'mobilnet'. Did you mean 'mobilenet'? Known: mobilenet, lenet5, resnet8."


def test_missing_extra_says_what_to_run() -> None:
    assert str(MissingExtra("Compressing", "train")) == (
        "Compressing needs edgekit's [train] extra, which is not installed. Run: pip install 'edgekit[train]'"
    )

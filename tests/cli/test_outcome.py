"""The frame of every command: one JSON document, one sentence, one exit code."""

import errno
import json
import warnings

import click
import pytest

from edgekit.cli import COMMANDS, group, main
from edgekit.cli.outcome import Outcome, run, shared_options
from edgekit.errors import BadInput, CheckFailed, DeviceError, EdgekitWarning, MissingExtra, UsageError
from edgekit.schemas import load_schema

ERRORS = {
    "check": (CheckFailed("Too big.", "Prune it."), 1, "check-failed"),
    "usage": (UsageError("Not like this."), 2, "usage"),
    "extra": (MissingExtra("Compressing", "train"), 2, "missing-extra"),
    "input": (BadInput("No model.", "Give one."), 3, "bad-input"),
    "device": (DeviceError("No device."), 4, "device"),
    "full": (OSError(errno.ENOSPC, "No space left on device", "x.tflite"), 4, "device"),
    "denied": (PermissionError(errno.EACCES, "Permission denied", "runs"), 4, "device"),
    "memory": (MemoryError(), 4, "device"),
    "interrupt": (KeyboardInterrupt(), 130, "interrupted"),
    "bug": (ZeroDivisionError("division by zero"), 4, "internal"),
}


@click.group()
def play() -> None:
    pass


@play.command()
@click.argument("what")
@shared_options
def fail(what: str) -> Outcome:
    raise ERRORS[what][0]


@play.command()
@click.option("--number", type=int)
@shared_options
def succeed(number: int | None) -> Outcome:
    warnings.warn("Look out.", EdgekitWarning, stacklevel=1)
    warnings.warn("Look out.", EdgekitWarning, stacklevel=1)
    failed = CheckFailed("A budget.", "Raise it.") if number else None
    return Outcome({"answer": 42}, "forty-two", failed)


@pytest.mark.parametrize("what", ERRORS)
def test_every_error_is_one_sentence_and_its_exit_code(what: str, capsys: pytest.CaptureFixture[str]) -> None:
    import jsonschema

    error, code, name = ERRORS[what]
    assert run(play, ["fail", what]) == code
    out, err = capsys.readouterr()
    err = err.lstrip("\n")  # click ends the line of a ^C
    assert out == "" and err.startswith("edgekit: ") and err.count("\n") == 1 and "Traceback" not in err
    assert run(play, ["fail", what, "--json"]) == code
    out, err = capsys.readouterr()
    envelope = json.loads(out)
    jsonschema.validate(envelope, load_schema("envelope"))
    assert (envelope["ok"], envelope["error"]["code"], envelope["command"]) == (False, name, "fail")
    assert err.strip() == "" and error is not None


def test_results_and_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    import jsonschema

    assert run(play, ["succeed"]) == 0
    assert capsys.readouterr() == ("forty-two\n", "warning: Look out.\n")
    assert run(play, ["succeed", "--json"]) == 0
    envelope = json.loads(capsys.readouterr().out)
    jsonschema.validate(envelope, load_schema("envelope"))
    assert (envelope["result"], envelope["warnings"]) == ({"answer": 42}, ["Look out."])


def test_a_failed_check_has_its_result_and_its_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(play, ["succeed", "--number", "1", "--json"]) == 1
    envelope = json.loads(capsys.readouterr().out)
    assert (envelope["ok"], envelope["result"], envelope["error"]["message"]) == (False, {"answer": 42}, "A budget.")


def test_a_usage_error_of_click_is_ours_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(play, ["succeed", "--number", "x", "--json"]) == 2
    assert json.loads(capsys.readouterr().out)["error"]["code"] == "usage"


def test_debug_shows_the_traceback_of_a_bug(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(play, ["fail", "bug", "--debug"]) == 4
    assert "Traceback" in capsys.readouterr().err


def test_unknown_command_names_the_closest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["comprss"]) == 2
    assert "Did you mean 'compress'?" in capsys.readouterr().err


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_and_the_shared_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    command = group.get_command(click.Context(group), name)
    assert command is not None and command.name == name
    assert main([name, "--help"]) == 0
    assert f"edgekit {name}" in capsys.readouterr().out
    leaves = [command]
    if isinstance(command, click.Group) and command.commands:
        leaves = list(command.commands.values())
    for leaf in leaves:
        assert {"--json", "--debug"} <= {option for p in leaf.params for option in p.opts}, leaf.name

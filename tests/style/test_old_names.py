"""Old names of commands, options, alarms and presets work for one release, with a warning on stderr."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from backstop.cli.ask import cli as ask
from backstop.cli.compare import cli as compare
from backstop.cli.faults import cli as faults
from backstop.cli.hunt import cli as hunt
from backstop.cli.main import main
from backstop.files.installation import OLD_COMMANDS
from backstop.files.output_directories import MADE, read_record


@pytest.mark.parametrize("old", OLD_COMMANDS)
def test_an_old_command_runs_the_new_one(old: str) -> None:
    for command in (main.get_command(click.Context(main), old), import_module(f"scripts.{old}").cli):
        assert isinstance(command, click.Command) and command.hidden and command.name == old
        refused = CliRunner(mix_stderr=False).invoke(command, ["--no-such-option"])
        assert refused.exit_code == 2 and "No such option: --no-such-option" in refused.stderr


def test_an_old_command_warns(tmp_path: Path) -> None:
    runner = CliRunner(mix_stderr=False)
    args = ["--book", str(tmp_path / "none.csv"), "--out", str(tmp_path / "mine")]
    old, new = (runner.invoke(main, [name, *args]) for name in ("bring", "import"))
    warning = "Warning: the command bring is called import now; the old name goes with the next release\n"
    assert old.stderr == warning + new.stderr and old.exit_code == new.exit_code != 0
    assert "bring" not in runner.invoke(main, ["--help"]).stdout.split()


def test_an_old_option_is_the_new_one(tmp_path: Path) -> None:
    out = ("--out", str(tmp_path / "faults.json"))
    for old in (["--part", "Junor"], ["--part=Junor"]):
        found = CliRunner(mix_stderr=False).invoke(faults, [*old, *out])
        assert found.exit_code == 1 and "Junor" in found.stderr
        assert found.stderr.startswith(
            "Warning: the option --part is called --component now; the old name goes"
        )
    assert "--part" not in CliRunner().invoke(faults, ["--help"]).output


def test_a_folder_of_an_old_command_is_one_of_the_new(tmp_path: Path) -> None:
    (tmp_path / MADE).write_text(json.dumps({"schema_version": 1, "command": "straddle", "inputs": {}}))
    assert read_record(tmp_path)["command"] == "self-hedge"


def test_an_old_alarm_is_the_new_one(tmp_path: Path) -> None:
    args = ["--alarm", "stuck", "--alarm", "nonsense", "--out", str(tmp_path / "hunt")]
    found = CliRunner(mix_stderr=False).invoke(hunt, args)
    assert found.exit_code == 2 and "'nonsense' is not one of 'extraction'" in found.stderr
    assert found.stderr.startswith("Warning: the alarm stuck is called liveness now; the old name goes")


@pytest.mark.parametrize("command", [(compare,), (ask, "payers", "black-thursday")], ids=["compare", "ask"])
def test_an_old_preset_is_the_new_one(command: tuple[click.Command, str], tmp_path: Path) -> None:
    cli, *args = command
    presets = ("--presets", "morpho, no-such-one", "--out", str(tmp_path / "out"))
    found = CliRunner(mix_stderr=False).invoke(cli, [*args, *presets])
    assert found.exit_code == 1
    warning, error = found.stderr.splitlines()
    assert warning.startswith("Warning: the preset morpho is called morpho-lenders now; the old name goes")
    assert error.startswith("Error: preset 'no-such-one' is unknown")

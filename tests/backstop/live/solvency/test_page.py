"""How docs/how-to/operate.md follows a deployment, command by command."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.live.node.rpc_node import LOCAL
from tests.support.checkout_paths import ROOT
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash

GUIDE = (ROOT / "docs/how-to/operate.md").read_text()
DOC = GUIDE.partition("\n## Following a deployment\n")[2].partition("\n## ")[0]


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models")
def test_the_page(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    # The live page has tests in a browser, a fork and the queue have their own.
    every = re.findall(r"^    \.venv/bin/ape run (.*)$", DOC, re.M)
    commands = [command for command in every if "--page" not in command and not command.startswith("adl")]
    assert [command.split()[0] for command in commands] == [
        *("mirror", "audit", "audit", "export", "simulate", "compare", "devnet")
    ]
    printed = []
    for command in commands[:-1]:
        changes = {LOCAL: crashed.devnet.url, "deployment.json": str(crashed.file), "runs/": f"{tmp_path}/"}
        if "0x..." in command:
            audit = json.loads((tmp_path / "audit" / "audit.json").read_text())
            changes["0x..."] = audit["block"]["hash"]
        for old, new in changes.items():
            command = command.replace(old, new)
        name, *flags = shlex.split(command)
        cli = importlib.import_module(f"backstop.cli.{name}").cli
        result = CliRunner(mix_stderr=False).invoke(cli, flags)
        assert result.exit_code == 0, (command, result.stderr)
        printed.append(result.stdout)
    # The line of the page has the shape of the printed one.
    shape = re.compile(r"\d[\d,]*")
    (line,) = re.findall(r"^    (block \d.*)$", DOC, re.M)
    assert re.sub(r"\d+ \w{3} ", "", shape.sub("1", line)) == re.sub(
        r"\d+ \w{3} ", "", shape.sub("1", printed[0].strip())
    )
    # Every part of a statement is in the page's table.
    audit = json.loads((tmp_path / "audit" / "audit.json").read_text())
    named = set(re.findall(r"`(\w+)`", DOC))
    assert audit["statement"].keys() - {"timestamp", "settling"} <= named

"""The pages that follow, audit and export a deployment, command by command."""

from __future__ import annotations

import importlib
import json
import re
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.checkout_paths import ROOT
from tests.support.deployment_after_price_crash import DeploymentAfterPriceCrash
from tests.support.page_commands import list_page_blocks

PAGES = ("follow-a-deployment", "audit-a-block", "export-to-a-simulation")
COMMANDS = ("mirror", "audit", "audit", "export", "simulate", "compare")


@pytest.mark.deep(brief="tests/backstop/live/solvency/test_audit.py::test_the_statement_is_the_models")
def test_the_page(crashed: DeploymentAfterPriceCrash, tmp_path: Path) -> None:
    # The live page has tests in a browser, a fork and the queue have their own.
    pages = [(ROOT / f"docs/how-to/{name}.md").read_text() for name in PAGES]
    blocks = [block for page in pages for block in list_page_blocks(page)]
    every = [command.partition(" | ")[0] for command, _ in blocks if command.startswith("backstop ")]
    chain = ("backstop devnet ", "backstop deploy ", "backstop crash ")
    left_out = (*chain, "backstop adl", "--page", "--checkpoint", "--independent", "$(")
    commands = [
        each.removeprefix("backstop ") for each in every if not any(word in each for word in left_out)
    ]
    assert [command.split()[0] for command in commands] == list(COMMANDS)
    printed = []
    for command in commands:
        command = re.sub(r"http://127\.0\.0\.1:\d+", crashed.devnet.url, command)
        changes = {"deployment.json": str(crashed.file), "runs/": f"{tmp_path}/"}
        if "--block-hash" in command:
            audit = json.loads((tmp_path / "audit" / "audit.json").read_text())
            command = re.sub("0x[0-9a-f]+", audit["block"]["hash"], command)
        for old, new in changes.items():
            command = command.replace(old, new)
        name, *flags = shlex.split(command)
        cli = importlib.import_module(f"backstop.cli.{name}").cli
        result = CliRunner(mix_stderr=False).invoke(cli, flags)
        assert result.exit_code == 0, (command, result.stderr)
        printed.append(result.stdout)
    # The line of the page has the shape of the printed one.
    shape = re.compile(r"\d[\d,]*")
    line = next(shown for command, shown in blocks if "mirror" in command).strip().replace(" k", "")
    assert re.sub(r"\d+ \w{3} ", "", shape.sub("1", line)) == re.sub(
        r"\d+ \w{3} ", "", shape.sub("1", printed[0].strip())
    )
    # Every part of a statement is in the page's table.
    audit = json.loads((tmp_path / "audit" / "audit.json").read_text())
    named = set(re.findall(r"`(\w+)`", (ROOT / "docs/reference/audit-statement.md").read_text()))
    assert audit["statement"].keys() - {"timestamp", "settling"} <= named

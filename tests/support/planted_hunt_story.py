"""A hunt that finds a story, however the rules change: one of them is wrong while it runs."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from backstop.cli.hunt import cli
from backstop.model.cycle_book import CycleBook
from backstop.model.interfaces import SideTotals


class Forgetful(CycleBook):
    """A closed account keeps no part in the losses of the time before."""

    right = CycleBook._trade_lots

    def _trade_lots(self, owner, market, delta, off):
        Forgetful.right(self, owner, market, delta, off)
        if self.positions[owner, market].size == 0:
            for parity in (0, 1):
                self.gained[owner, market, parity] = SideTotals()


def hunt_planted_story(out: Path) -> Path:
    """Hunt one case by one alarm under the wrong rule, and check that it is told; its page."""
    args = ["--cases", "1", "--alarm", "margin", "--trials", "20", "--max-findings", "0", "--seed", "2"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CycleBook, "_trade_lots", Forgetful._trade_lots)
        result = CliRunner(mix_stderr=False).invoke(cli, [*args, "--out", str(out)])
    page = out / "report.html"
    assert result.exit_code == 1 and f"report     {page}" in result.stdout, result.stderr
    return page

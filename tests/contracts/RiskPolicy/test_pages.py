"""The tables of margin.md and rates.md (docs/reference/guards) equal the contract of `guarded()`."""

from fractions import Fraction

import pytest

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.model.arithmetic import RAD, RAY, div_up
from tests.support.auction_steps import WBTC, WETH
from tests.support.checkout_paths import ROOT
from tests.support.vault_size_margin_and_call_steps import YEAR

PAGES = ROOT / "docs/reference/guards"


def rows(page, header):
    """The cells of the table with this first column, as fractions."""
    lines = iter((PAGES / page).read_text().splitlines())
    for line in lines:
        if line.startswith(f"| {header}"):
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append([Fraction(cell.strip(" %").replace(",", "")) for cell in line.strip("|").split("|")])
    assert found
    return found


@pytest.fixture
def in_full(new_protocol):
    """The deployment with every guard."""
    return new_protocol(build_guarded_parameters())


def test_levels(in_full):
    initial_ratio = in_full.parameters.collateral_types[WETH].initial_ratio
    liquidation_ratio = in_full.parameters.collateral_types[WETH].liquidation_ratio
    call_ratio = in_full.read("RiskPolicy.call_terms", WETH).ratio
    for coins, *levels in rows("margin.md", "debt of the vault"):
        debt = int(coins) * RAD
        needed = [
            in_full.read("RiskPolicy.required", WETH, debt, total * 10**6 * RAD, initial_ratio)
            for total in (20, 30, 50)
        ]
        own = in_full.read("RiskPolicy.add_on", WETH, debt)
        needed += [debt * ratio + own for ratio in (call_ratio, liquidation_ratio)]
        assert [div_up(each, debt) for each in needed] == levels


def test_rates(in_full):
    line = in_full.parameters.collateral_types[WETH].policy.line
    for percent, *rates in rows("rates.md", "utilisation"):
        performing = int(percent * line * RAD / 100)
        for c, expected in zip((WETH, WBTC), rates, strict=True):
            fee = in_full.read("RiskPolicy.fee_at", c, performing)
            # What is a year's, of a fee that is rounded up each second.
            assert 0 <= Fraction(fee * YEAR * 10_000, RAY) - expected < Fraction(2 * YEAR * 10_000, RAY)

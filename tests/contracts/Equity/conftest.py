"""Equity tokens in the states that the tests of their functions start from."""

from __future__ import annotations

import pytest

from backstop.model.roles import MINTER
from tests.support.equity_steps import build_equity_parameters


@pytest.fixture
def equity(new_protocol):
    """Return a token of which `minter` may create 1,000 in 7 days, and `Issued`.

    The auction of `Issued` is an account.
    """
    made = new_protocol(build_equity_parameters("buffer", "savings", mint_cap=1_000))
    args = made.address("admin"), made.address("auction"), made.address("admin"), 1_000_000, 7 * 86_400, 1_000
    made.lockstep.create_contract("Equity", "Issued", *args)
    for name in ("Equity", "Issued"):
        made.do(f"{name}.grant_role", MINTER, "minter", sender="admin")
    return made

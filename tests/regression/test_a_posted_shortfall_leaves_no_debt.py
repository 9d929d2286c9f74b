"""A failure that the fuzzer found: property 16, a market's shortfall raised the debt of its domain's vault.

On a type with a fee a draw is rounded up to whole units of debt and was written down rounded down: one unit
of each shortfall stayed owed.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.margin import ETH, begin, execute, fill, move, opened, prove, stage

PERPETUALS = 3  # its type


@pytest.mark.parametrize("loss", [3, 1_999])
def test_a_posted_shortfall_leaves_no_debt(new_protocol, loss):
    made = opened(new_protocol)
    made.do("VaultEngine.set_stability_fee", PERPETUALS, 10**18, sender="admin")
    made.advance(86_400)
    move(made, "WETH", 2_000)
    stage(made, maker=2_000, taker=20_000, third=20_000)
    fill(made, "maker", "taker", 1_000)
    move(made, "WETH", 1_600)
    fill(made, "third", "taker", -1_000)
    stage(made, maker=2_000 - loss)
    begin(made, "maker")
    prove(made, "third")
    execute(made)
    assert made.do("MarginMarket.post_shortfall", ETH, sender="stranger") == loss * WAD
    assert made.read("VaultEngine.vault", PERPETUALS, made.address("Perpetuals"))[1] == 0
    # What was drawn, and less than a unit of debt more.
    rate = made.table("VaultEngine", "ledger.debts", PERPETUALS).accumulated_rate
    assert 0 <= made.read("VaultEngine.deficit_of", PERPETUALS) - loss * WAD * RAY < rate

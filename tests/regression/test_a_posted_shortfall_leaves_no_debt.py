"""A failure that the fuzzer found: property 16, a market's shortfall raised its facilitator's debt.

On a type with a fee a draw is rounded up to whole units of debt and was written down rounded down: one unit
of each shortfall stayed owed.
"""

import pytest

from backstop.model.arithmetic import RAY, WAD
from tests.support.perpetual_test_market import ETH, deploy_perpetuals

PERPETUALS = 3  # its type


@pytest.mark.parametrize("loss", [3, 1_999])
def test_a_posted_shortfall_leaves_no_debt(new_protocol, loss):
    """The winner has closed its position, and its gain is final before the loss is settled."""
    market = deploy_perpetuals(new_protocol)
    market.do("VaultEngine.set_stability_fee", PERPETUALS, 10**18, sender="admin")
    market.advance_clock(86_400)
    market.report_current_prices_again()
    for name, amount in (("maker", 4_000 - loss), ("taker", 20_000)):
        market.deposit(name, amount * WAD)
    market.trade("maker", "taker", 1_000)
    market.mark(ETH, 16 * WAD)
    for _ in range(2):
        market.advance_cycle()
    assert market.seize_insolvent("maker")
    assert market.read("Perpetuals.lost") == loss * WAD
    vault = market.read("VaultEngine.vault", PERPETUALS, market.get_contract_or_account_address("Perpetuals"))
    assert vault[1] == 0
    # What was drawn, and less than a unit of debt more.
    rate = market.world.contracts["VaultEngine"].tables["ledger.debts"][PERPETUALS].accumulated_rate
    assert 0 <= market.read("VaultEngine.deficit_of", PERPETUALS) - loss * WAD * RAY < rate

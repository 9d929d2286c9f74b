"""A failure that the fuzzer found: property 7, leaving StakedEquity before a loss paid more than after.

A buffer could still pay a deficit that the auction of staked equity had reserved, and that amount was taken
off the losses of other types.
"""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.equity_steps import (
    XAU,
    build_equity_parameters,
    call_waterfall_cover_once,
    post_prices_and_fund_people,
    report_equity,
)
from tests.support.saver_steps import earn_year_of_high_fees, lose_new_vault

WBTC = 1


def test_a_buffer_beside_a_reservation(new_protocol):
    protocol = post_prices_and_fund_people(
        new_protocol(build_equity_parameters("buffer", "staked_equity", "savings"))
    )
    protocol.do("Equity.approve", "StakedEquity", 1_000 * WAD, sender="admin")
    protocol.do("StakedEquity.deposit", 1_000 * WAD, "admin", sender="admin")
    lose_new_vault(protocol)
    report_equity(protocol, 100 * RAY)
    assert call_waterfall_cover_once(protocol) > 9_000 * RAD
    earn_year_of_high_fees(protocol)
    assert protocol.read("VaultEngine.buffer_of", XAU) > 1_000 * RAD
    loss = lose_new_vault(protocol, "WBTC") - protocol.read("VaultEngine.buffer_of", WBTC)
    rest = protocol.read("VaultEngine.deficit_of", XAU) - protocol.read("LossWaterfall.reserved_of", XAU)
    assert rest < protocol.read("VaultEngine.buffer_of", XAU)
    assert protocol.read("LossWaterfall.losses_reaching", "StakeAuction") == loss

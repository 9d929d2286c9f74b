"""A failure that the fuzzer found: property 7, leaving StakedEquity before a loss paid more than after.

What a buffer could still pay of a deficit that the auction of staked equity had reserved was taken off the
losses of other types.
"""

from backstop.model.arithmetic import RAD, RAY, WAD
from tests.support.equity_steps import XAU, cover_deficit, open_protocol, report_equity, with_equity
from tests.support.saver_steps import fill_buffer, lose_new_vault

WBTC = 1


def test_a_buffer_beside_a_reservation(new_protocol):
    protocol = open_protocol(new_protocol(with_equity("buffer", "staked_equity", "savings")))
    protocol.do("Equity.approve", "StakedEquity", 1_000 * WAD, sender="admin")
    protocol.do("StakedEquity.deposit", 1_000 * WAD, "admin", sender="admin")
    lose_new_vault(protocol)
    report_equity(protocol, 100 * RAY)
    assert cover_deficit(protocol) > 9_000 * RAD
    fill_buffer(protocol)
    assert protocol.read("VaultEngine.buffer_of", XAU) > 1_000 * RAD
    loss = lose_new_vault(protocol, "WBTC") - protocol.read("VaultEngine.buffer_of", WBTC)
    rest = protocol.read("VaultEngine.deficit_of", XAU) - protocol.read("LossWaterfall.reserved_of", XAU)
    assert rest < protocol.read("VaultEngine.buffer_of", XAU)
    assert protocol.read("LossWaterfall.losses_reaching", "StakeAuction") == loss

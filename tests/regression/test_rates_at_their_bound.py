"""A failure that the fuzzer found: property 5, borrowers who bore nothing of a loss while holders did.

The highest fee had brought the accumulated rate to the most that its field holds: no loss can be added to it.
"""

from dataclasses import replace

from backstop.deployment.examples import standard
from backstop.model.arithmetic import WAD
from backstop.model.bounds import MAX_STABILITY_FEE
from backstop.model.ledger import MAX_RATE
from tests.support.plain import only
from tests.support.savings import XAU, lose

YEAR = 365 * 86_400


def test_rates_at_their_bound(new_protocol):
    made = new_protocol(replace(standard(), stages=only("redistribution")), prices=True)
    made.do("VaultEngine.set_redistribution_cap", XAU, 500, sender="admin")
    made.borrow("borrower", "XAU", 20_000 * WAD, 5_000 * WAD)
    lose(made)
    made.do("VaultEngine.set_stability_fee", XAU, MAX_STABILITY_FEE, sender="admin")
    assert made.read("RedistributionStage.capacity", XAU) > 0
    made.advance(6 * YEAR)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    assert made.table("VaultEngine", "ledger.debts", XAU).accumulated_rate == MAX_RATE
    assert made.read("RedistributionStage.capacity", XAU) == 0
    assert made.read("VaultEngine.deficit_of", XAU) > 0

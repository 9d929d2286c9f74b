"""A failure that the fuzzer found: property 5, borrowers absorbed nothing of a loss while holders did.

The highest fee had brought the accumulated rate to its field's maximum: no loss can be added to it.
"""

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import WAD
from backstop.model.bounds import MAX_STABILITY_FEE
from backstop.model.ledger import MAX_RATE
from tests.support.no_fee_deployments import build_uncapped_stages
from tests.support.saver_steps import XAU, lose_new_vault

YEAR = 365 * 86_400


def test_rates_at_their_bound(new_protocol):
    made = new_protocol(
        replace(build_standard_parameters(), stages=build_uncapped_stages("redistribution")), prices=True
    )
    made.do("VaultEngine.set_redistribution_cap", XAU, 500, sender="admin")
    made.borrow("borrower", "XAU", 20_000 * WAD, 5_000 * WAD)
    lose_new_vault(made)
    made.do("VaultEngine.set_stability_fee", XAU, MAX_STABILITY_FEE, sender="admin")
    assert made.read("RedistributionStage.capacity", XAU) > 0
    made.advance(6 * YEAR)
    made.do("LossWaterfall.cover", XAU, sender="stranger")
    assert made.table("VaultEngine", "ledger.debts", XAU).accumulated_rate == MAX_RATE
    assert made.read("RedistributionStage.capacity", XAU) == 0
    assert made.read("VaultEngine.deficit_of", XAU) > 0

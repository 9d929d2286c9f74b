"""A failure that the fuzzer found: property 81, a stage that could have paid was left out.

No type was listed any more: there is no debt, so nothing can be lost, and no stage has to stay.
"""

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.model.arithmetic import RAY
from tests.support.equity_steps import hold_equity_price_until_average
from tests.support.saver_steps import DAY


def test_a_lineup_without_types(new_protocol):
    made = new_protocol(
        replace(
            build_standard_parameters(), collateral_types=build_standard_parameters().collateral_types[:1]
        )
    )
    hold_equity_price_until_average(made, RAY)
    assert made.read("MintAuction.capacity", 0) > 0
    made.do("VaultEngine.retire_collateral_type", 0, sender="admin")
    ids = made.read("LossWaterfall.stage_ids")
    terms = [made.read("LossWaterfall.stage_terms", k) for k in ids]
    stays = [each for each in terms if each[0] != made.address("MintAuction")]
    assert len(stays) == len(terms) - 1
    made.do("LossWaterfall.propose_stages", stays, sender="admin")
    made.advance(30 * DAY)
    made.do("LossWaterfall.apply_stages", stays, sender="stranger")
    assert len(made.read("LossWaterfall.stage_ids")) == len(stays)

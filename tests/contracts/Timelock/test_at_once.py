"""lower_ceiling, halt_draws: new risk is refused at once, and nothing else; open positions stay."""

import pytest

from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from tests.support.revert_setter_and_source_helpers import get_revert_reason, reverts
from tests.support.timelock_proposals import TERMS, enact_calls, encode_proposal_call, read_last_call_events


@pytest.fixture
def lent(timelocked):
    timelocked.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    return timelocked


@pytest.mark.parametrize("sender", ["admin", "guardian"])
def test_a_types_ceiling_only_falls(lent, sender):
    present = lent.read("VaultEngine.terms_of", 0).debt_ceiling
    for more in (present, present + 1, MAX_UINT256):
        with reverts("timelock: only lower"):
            lent.do("Timelock.lower_ceiling", 0, more, sender=sender)
    lent.do("Timelock.lower_ceiling", 0, 12_000, sender=sender)
    assert read_last_call_events(lent) == [("RiskForbidden", (lent.address(sender), 0, 12_000))]
    assert lent.read("VaultEngine.terms_of", 0).debt_ceiling == 12_000
    with reverts("vault_engine: debt ceiling"):
        lent.borrow("other", "WETH", 10 * WAD, 12_000 * WAD)


@pytest.mark.parametrize("sender", ["admin", "guardian"])
def test_no_type_lends_and_everything_else_goes_on(lent, sender):
    """Borrowers repay, add collateral and are liquidated; lots are taken."""
    lent.give_stablecoin("taker", 30_000 * WAD)
    lent.do("Timelock.halt_draws", sender=sender)
    assert read_last_call_events(lent) == [("RiskForbidden", (lent.address(sender), MAX_UINT256, 0))]
    for symbol in ("WETH", "WBTC"):
        with reverts("ledger: over the ceiling"):
            lent.borrow("other", symbol, 100 * WAD, 12_000 * WAD)
    call_ = "VaultEngine.repay_and_withdraw"
    lent.do("Stablecoin.transfer", "borrower", WAD, sender="taker")
    assert get_revert_reason(lent, call_, 0, "borrower", WAD, 0, "borrower", sender="borrower") is None
    lent.post_price("WETH", 1_500 * RAY)
    id = lent.do("LiquidationEngine.liquidate", 0, "borrower", "keeper", sender="keeper")
    lent.do("CollateralAuction.take", id, MAX_UINT256, MAX_UINT256, "taker", b"", sender="taker")
    assert lent.read("WETH.balanceOf", "taker") > 0


def test_a_proposal_raises_it_again(lent):
    lent.do("Timelock.halt_draws", sender="guardian")
    ceiling = lent.parameters.global_debt_ceiling
    enact_calls(lent, encode_proposal_call(lent, "VaultEngine.set_global_debt_ceiling", ceiling))
    lent.post_price("WETH", 2_000 * RAY)
    lent.borrow("other", "WETH", 10 * WAD, 12_000 * WAD)


def test_nobody_else(lent):
    for method, args in (("lower_ceiling", (0, 0)), ("halt_draws", ())):
        with reverts("timelock: not guardian"):
            lent.do(f"Timelock.{method}", *args, sender="stranger")


def test_an_unknown_type(lent):
    with reverts("terms: unknown type"):
        lent.do("Timelock.lower_ceiling", 7, 0, sender="guardian")


def test_nothing_else_happens_at_once(lent):
    """Neither by the governor nor by the guardian, at the contracts themselves."""
    for sender in ("admin", "guardian", "deployer"):
        for name, args in (
            ("VaultEngine.set_ratios", (0, 20_000, 20_000)),
            ("VaultEngine.set_debt_ceiling", (0, 1)),
            ("CollateralAuction.set_stop", (0, 1)),
            ("PriceFeed.set_market", (0, ("keeper", "taker", "saver"), 3, 60, 60, 60, 60)),
            ("LossWaterfall.propose_stages", ((),)),
            ("Settlement.announce", ()),
        ):
            assert get_revert_reason(lent, name, *args, sender=sender) in (
                "roles: not admin",
                "roles: missing role",
            )
    assert TERMS.delay > max(lent.read(f"{pool}.COOLDOWN") for pool in ("Junior", "Savings")) + 86_400

"""Calls of the admin and of guardians while a market or a collateral type ends: the table of roles.md.

In each stage every call is tried for itself and reverted. It succeeds unless the table says that it is
refused then, and every refusal in the table happens: the table has neither too much nor too little.
"""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import FINAL_DEADLINE, MIN_NOTICE
from backstop.model.roles import GUARDIAN
from tests.support.auction_steps import WETH
from tests.support.facilitator_steps import draw_stablecoin_as_bridge, with_facilitators
from tests.support.guard_steps import deploy_with_prices
from tests.support.margin_order_steps import build_perpetual_market_terms, with_margin
from tests.support.revert_setter_and_source_helpers import get_revert_reason
from tests.support.settlement_steps import report_until_final_prices_exist

PAGE = Path("docs/reference/roles.md")
HEADING = "## Refusals while a market or a type ends"
ADMIN, GUARD = "admin", "guardian"
FACILITATOR = "Rollup"
# Rows of the tables above it that are no call of this test, each with the reason.
LEFT_OUT = {
    ("CollateralAuction", "add_terms"): "once for each type",
    ("LossWaterfall", "set_stages"): "once",
    ("BridgeFacilitator", "open"): "once",
    ("PriceFeed", "set_issuer"): "for a market without reporters",
    ("LiquidationEngine", "set_mechanism"): "once for each type, before its first debt",
    ("FixedDiscount", "set_terms"): "a deployment of its own",
    ("PerpetualLiquidityVault", "set_limit"): "a deployment of its own",
}


def everything():
    """Return parameters with guards, equity, facilitators, perpetual markets; feeds hold no price back."""
    plain = with_margin(with_facilitators(build_guarded_parameters()))
    types = tuple(
        replace(each, feed=replace(each.feed, deviation=0, grace=0)) for each in plain.collateral_types
    )
    return replace(plain, collateral_types=types)


def calls(protocol):
    """Return each call with arguments and sender; it concerns the type and the market that end."""
    own = protocol.parameters.collateral_types[WETH]
    feed, auction, policy = own.feed, own.auction, own.policy
    reporters = tuple(f"reporter_{i + 1}" for i in range(feed.reporters))
    times = feed.quorum, feed.step, feed.max_age, feed.stale_after, feed.window
    curve = auction.curve, auction.period, auction.cut, auction.tail, auction.cusp
    stages = [protocol.read("LossWaterfall.stage_terms", k) for k in range(len(protocol.parameters.stages))]
    workouts = protocol.read("Workouts.terms_of", WETH)
    return [
        ("VaultEngine.set_ratios", (WETH, own.liquidation_ratio, own.initial_ratio), ADMIN),
        ("VaultEngine.set_debt_floor", (WETH, 1), ADMIN),
        ("VaultEngine.set_debt_ceiling", (WETH, 0), ADMIN),
        ("VaultEngine.set_global_debt_ceiling", (0,), ADMIN),
        ("VaultEngine.set_stability_fee", (WETH, 0), ADMIN),
        ("VaultEngine.set_fee_dynamic", (WETH, False), ADMIN),
        ("VaultEngine.set_risk_policy", ("RiskPolicy",), ADMIN),
        ("VaultEngine.set_buffer_share", (WETH, 1), ADMIN),
        ("VaultEngine.set_auction_limit", (WETH, 1), ADMIN),
        ("VaultEngine.set_global_auction_limit", (1,), ADMIN),
        ("VaultEngine.set_redistribution_cap", (WETH, 1), ADMIN),
        ("VaultEngine.add_collateral_type", ("WBTC", 14_500, 15_000), ADMIN),
        ("VaultEngine.retire_collateral_type", (2,), ADMIN),
        ("CollateralAuction.set_curve", (WETH, *curve), ADMIN),
        ("CollateralAuction.set_buf", (WETH, auction.buf), ADMIN),
        ("CollateralAuction.set_penalty", (WETH, auction.penalty), ADMIN),
        ("CollateralAuction.set_rewards", (WETH, 0, 0), ADMIN),
        ("CollateralAuction.set_stop", (WETH, 2), ADMIN),
        ("PriceFeed.set_market", (WETH, reporters, *times), ADMIN),
        ("PriceFeed.set_guards", (WETH, 500, 1, 0, 0), ADMIN),
        ("PriceFeed.set_halted", (WETH, True), ADMIN),
        ("PriceFeed.set_halted", (WETH, False), ADMIN),
        ("PriceFeed.set_halted", (WETH, True), GUARD),
        ("LossWaterfall.propose_stages", (stages,), ADMIN),
        ("Settlement.announce", (), ADMIN),
        ("Settlement.cancel_announcement", (), ADMIN),
        ("RiskPolicy.set_brackets", (WETH, policy.of_vaults, policy.of_type), ADMIN),
        ("RiskPolicy.set_call_terms", (WETH, policy.call_ratio, 3_600, 3_600), ADMIN),
        ("RiskPolicy.set_effects", (1_000, 10_000), ADMIN),
        ("RiskPolicy.set_fee_curve", (WETH, policy.curve, policy.line, policy.speed), ADMIN),
        ("RiskPolicy.set_flow_limit", (WETH, 1, 3_600), ADMIN),
        ("RiskPolicy.set_growth_cap", (WETH, 0, 0), ADMIN),
        ("CircuitBreaker.set_triggers", ((0, 0),) * 4, ADMIN),
        ("CircuitBreaker.set_calm_period", (3_600,), ADMIN),
        ("CircuitBreaker.force_mode", (1,), GUARD),
        ("AutoCeiling.set_terms", (WETH, 1, 1, 28_800), ADMIN),
        ("Workouts.set_terms", (WETH, *workouts), ADMIN),
        ("Treasury.set_target", (1,), ADMIN),
        ("Treasury.set_shares", ((0,) * 3,), ADMIN),
        ("Treasury.set_insurance", (0, 0), ADMIN),
        ("Equity.set_mint_cap", (1,), ADMIN),
        (f"{FACILITATOR}.announce_loss", (WAD,), ADMIN),
        (f"{FACILITATOR}.cancel_loss", (), ADMIN),
        ("MarginPolicy.add_market", (1, WAD // 1_000, build_perpetual_market_terms()), ADMIN),
        ("MarginPolicy.set_terms", (0, build_perpetual_market_terms()), ADMIN),
        ("MarginPolicy.delist", (1, protocol.timestamp + MIN_NOTICE), ADMIN),
        ("MarginFund.set_cap", (1,), ADMIN),
        ("PriceFeed.grant_role", (GUARDIAN, "other"), ADMIN),
        ("PriceFeed.revoke_role", (GUARDIAN, GUARD), ADMIN),
        ("VaultEngine.transfer_admin", ("other",), ADMIN),
    ]


def named(call):
    """Return the contract and the function as the page names them."""
    contract, method = call.split(".")
    contract = "BridgeFacilitator" if contract == FACILITATOR else contract
    shared = ("grant_role", "revoke_role", "transfer_admin")
    return ("every contract with an admin" if method in shared else contract), method


# ------------------------------------------------------------------------ stages


def delisted(protocol):
    protocol.do("MarginPolicy.delist", 0, protocol.timestamp + MIN_NOTICE, sender=ADMIN)


def price_is_made(protocol):
    delisted(protocol)
    protocol.advance(MIN_NOTICE)


def price_is_made_in_its_last_second(protocol):
    price_is_made(protocol)
    protocol.advance(FINAL_DEADLINE - 1)


def price_is_final(protocol):
    price_is_made(protocol)
    protocol.advance(FINAL_DEADLINE)


def market_has_ended(protocol):
    price_is_final(protocol)
    protocol.do("PerpetualMarket.end_market", 0, sender="stranger")


def type_is_wound_down(protocol):
    """Nothing more is lent, and the last debt is under auction."""
    protocol.do("VaultEngine.set_debt_ceiling", WETH, 0, sender=ADMIN)
    protocol.post_price("WETH", 1_500 * RAY)
    protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")


def type_is_retired(protocol):
    """All was repaid; collateral is left to its owner."""
    protocol.do(
        "VaultEngine.repay_and_withdraw", WETH, "borrower", 12_000 * WAD, 0, "borrower", sender="borrower"
    )
    protocol.do("VaultEngine.retire_collateral_type", WETH, sender=ADMIN)


def settlement_is_announced(protocol):
    protocol.do("Settlement.announce", sender=ADMIN)


def settlement_has_begun(protocol):
    settlement_is_announced(protocol)
    protocol.advance(protocol.parameters.settlement.delay)
    protocol.do("Settlement.begin", sender="stranger")


def settlement_prices_are_final(protocol):
    settlement_has_begun(protocol)
    report_until_final_prices_exist(protocol)


STAGES = {
    "delisted": delisted,
    "price made": price_is_made,
    "price made, to the last second": price_is_made_in_its_last_second,
    "price final": price_is_final,
    "market ended": market_has_ended,
    "type wound down": type_is_wound_down,
    "type retired": type_is_retired,
    "settlement announced": settlement_is_announced,
    "settlement begun": settlement_has_begun,
    "settlement priced": settlement_prices_are_final,
}


@pytest.fixture
def lent(new_protocol):
    """A vault at 167% without fees, guardians, and a facilitator with a debt."""
    protocol = deploy_with_prices(new_protocol, everything())
    for contract in ("PriceFeed", "CircuitBreaker"):
        protocol.do(f"{contract}.grant_role", GUARDIAN, GUARD, sender=ADMIN)
    protocol.do("VaultEngine.set_fee_dynamic", WETH, False, sender=ADMIN)
    protocol.do("VaultEngine.set_stability_fee", WETH, 0, sender=ADMIN)
    protocol.borrow("borrower", "WETH", 10 * WAD, 12_000 * WAD)
    draw_stablecoin_as_bridge(protocol, 1_000 * WAD)
    # Whoever adds a type brings a unit of its token.
    protocol.mint_and_approve_collateral("WBTC", ADMIN, WAD)
    return protocol


def section(heading):
    return PAGE.read_text().partition(heading + "\n")[2].partition("\n## ")[0]


def refused_by_the_page():
    """Return the stages in which the page says that a call is refused."""
    found = {}
    for line in section(HEADING).splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 4 and cells[1].startswith("`"):
            for method in re.findall(r"`(\w+)`", cells[1]):
                found[cells[0], method] = {each.strip() for each in cells[2].split(";")}
    return found


@pytest.mark.parametrize("stage", STAGES)
def test_every_call_succeeds_but_those_that_the_page_names(lent, stage):
    STAGES[stage](lent)
    page, found = refused_by_the_page(), set()
    for call, args, sender in calls(lent):
        with lent.lockstep.fork_state():
            if call.endswith("cancel_loss"):
                lent.do(f"{FACILITATOR}.announce_loss", WAD, sender=ADMIN)
            if call == "Settlement.cancel_announcement" and stage != "settlement announced":
                get_revert_reason(lent, "Settlement.announce", sender=ADMIN)
            reason = get_revert_reason(lent, call, *args, sender=sender)
        if reason is not None:
            found.add((named(call), reason))
    simple = stage.partition(",")[0]
    assert {name for name, _ in found} == {name for name, stages in page.items() if simple in stages}, found


def test_every_power_of_the_admin_is_tried(lent):
    """Of those in the tables of the page, and of guardians, but for those left out with a reason."""
    listed = set()
    for line in PAGE.read_text().partition("## Timelock")[0].splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) == 5 and cells[1].startswith("`") and re.search("admin|GUARDIAN", cells[2]):
            listed.add((cells[0], cells[1].strip("`")))
    tried = {named(call) for call, _, _ in calls(lent)}
    assert tried | set(LEFT_OUT) == listed
    assert not tried & set(LEFT_OUT)


def test_the_stages_of_the_page_are_tried(lent):
    named = {stage for stages in refused_by_the_page().values() for stage in stages}
    assert named and named <= set(STAGES)

"""The main parameter rules on the contracts: safe just inside the bound, unsafe just outside."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from backstop.contract_base import RevertError
from backstop.deployment.example_parameters import (
    build_guarded_parameters,
    build_margin_parameters,
    build_standard_parameters,
)
from backstop.deployment.parameter_dataclasses import (
    STAIRSTEP,
    AuctionParameters,
    FeedParameters,
    Parameters,
    SettlementParameters,
)
from backstop.deployment.parameter_rules import RULES, check_parameters
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD, div_up
from backstop.proof.local_protocol import PRICES, LocalProtocol
from tests.support.equity_steps import WETH, XAU, build_equity_parameters, post_prices_and_fund_people
from tests.support.revert_setter_and_source_helpers import get_revert_reason
from tests.support.saver_steps import lose_new_vault

HOUR = 3_600
NewProtocol = Callable[[Parameters], LocalProtocol]


def breaks(rule: str, parameters: Parameters, prices: dict[str, int] | None = None) -> bool:
    """Whether a setting breaks a rule, for ether or as a whole."""
    assert rule in {each.name for each in RULES}
    found = check_parameters(parameters, prices or {})
    return rule in {each.rule.name for each in found if each.misfit.place in ("WETH", "")}


def with_weth(**changes) -> Parameters:
    """The standard parameters, ether with others."""
    weth, *others = build_standard_parameters().collateral_types
    return replace(build_standard_parameters(), collateral_types=(replace(weth, **changes), *others))


def priced(protocol: LocalProtocol, price: int = PRICES["WETH"]) -> LocalProtocol:
    protocol.post_price("WETH", price)
    return protocol


def unsafe(protocol: LocalProtocol, debt: int, drop: int = 1) -> int:
    """A vault of `borrower` that a price has just made unsafe, by so many wei a token; that price."""
    terms = protocol.parameters.collateral_types[WETH]
    collateral = debt * terms.initial_ratio // BASIS_POINTS * 101 * RAY // (PRICES["WETH"] * 100)
    protocol.borrow("borrower", "WETH", collateral, debt)
    # Fees are charged until the second step, and for a while after.
    price = debt * terms.liquidation_ratio * RAY // (BASIS_POINTS * collateral) - drop * 10**9
    protocol.post_price("WETH", price)
    return price


@pytest.mark.parametrize(("buf", "sells"), [(11_200, True), (11_300, False)])
def test_an_auction_reaches_the_market(new_protocol: NewProtocol, buf: int, sells: bool) -> None:
    """1% each ten minutes, for two hours: 88.6% of where it starts."""
    auction = AuctionParameters(STAIRSTEP, 600, 99 * RAY // 100, 2 * HOUR, 4_000, buf)
    parameters = with_weth(auction=auction)
    protocol = priced(new_protocol(parameters))
    price = unsafe(protocol, 50_000 * WAD)
    lot = protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")
    sold = False
    for _ in range(12):
        protocol.advance(600)
        needs_reset, asked, *_ = protocol.read("CollateralAuction.status", lot)
        sold |= not needs_reset and asked <= price
    assert sold is sells is not breaks("auction-reaches-market", parameters)


@pytest.mark.parametrize(("penalty", "refused"), [(11_499, False), (11_500, True)])
def test_nobody_gains_by_liquidating_himself(new_protocol: NewProtocol, penalty: int, refused: bool) -> None:
    """At a liquidation ratio of 115%. The setters refuse it too."""
    auction = AuctionParameters(penalty=penalty)
    parameters = with_weth(liquidation_ratio=11_500, initial_ratio=11_600, auction=auction)
    assert breaks("penalty", parameters) is refused
    protocol = new_protocol(with_weth(liquidation_ratio=11_500, initial_ratio=11_600))
    reason = get_revert_reason(protocol, "CollateralAuction.set_penalty", WETH, penalty, sender="admin")
    assert reason == ("collateral_auction: high penalty" if refused else None)


@pytest.mark.parametrize(("epochs", "ended"), [(3, False), (2, True)])
def test_nobody_ends_the_protocol_while_a_stage_sells(
    new_protocol: NewProtocol, epochs: int, ended: bool
) -> None:
    """A loss is noted as its equity is put up for sale, for ten hours; an epoch is five."""
    parameters = replace(
        build_equity_parameters("minted_equity", "savings"),
        epoch_length=5 * HOUR,
        settlement=SettlementParameters(HOUR, bound=0, epochs=epochs),
    )
    protocol = post_prices_and_fund_people(new_protocol(parameters))
    lose_new_vault(protocol)
    protocol.do("LossWaterfall.cover", XAU, sender="stranger")
    for _ in range(2):
        protocol.do("Settlement.record_deficit_breach", sender="attacker")
        protocol.advance(5 * HOUR)
    reason = get_revert_reason(protocol, "Settlement.begin", sender="attacker")
    assert reason == (None if ended else "settlement: too early")
    assert not protocol.read("MintAuction.status", XAU)[0]  # it still sells
    assert ended is breaks("settlement-epochs", parameters)


def feed_of(**changes) -> Parameters:
    return with_weth(feed=replace(FeedParameters(), **changes))


def says(protocol: LocalProtocol, price: int, *reporters: int) -> None:
    for i in reporters:
        protocol.do("PriceFeed.report", WETH, price, sender=f"reporter_{i}")


def steps(protocol: LocalProtocol) -> bool:
    """Advance by a step and poke; return True if there was a quorum."""
    protocol.advance(HOUR)
    try:
        protocol.do("PriceFeed.poke", WETH, sender="stranger")
    except RevertError as revert:
        assert revert.reason == "price_feed: no quorum"
        return False
    return True


@pytest.mark.parametrize(("reporters", "quorum", "refused"), [(6, 4, True), (5, 4, True), (5, 5, False)])
def test_a_minority_is_less_than_half_of_a_quorum(
    new_protocol: NewProtocol, reporters: int, quorum: int, refused: bool
) -> None:
    """The feed refuses such a quorum too, so a minority of reporters has no market to attack."""
    feed = FeedParameters(reporters=reporters, quorum=quorum)
    names = tuple(f"reporter_{i + 1}" for i in range(reporters))
    terms = quorum, feed.step, feed.max_age, feed.stale_after, feed.window
    reason = get_revert_reason(
        new_protocol(build_standard_parameters()), "PriceFeed.set_market", WETH, names, *terms, sender="admin"
    )
    assert reason == ("price_feed: minority is half" if refused else None)
    assert breaks("quorum", feed_of(reporters=reporters, quorum=quorum)) is refused


@pytest.mark.parametrize(("reporters", "stops"), [(4, False), (3, True)])
def test_one_silent_reporter(new_protocol: NewProtocol, reporters: int, stops: bool) -> None:
    parameters = feed_of(reporters=reporters)
    protocol = priced(new_protocol(parameters))
    protocol.advance(2 * HOUR)
    says(protocol, PRICES["WETH"], *range(2, reporters + 1))
    assert steps(protocol) is not stops
    assert breaks("silent-reporter", parameters) is stops


@pytest.mark.parametrize(("stale_after", "at_once"), [(2 * HOUR, False), (2 * HOUR - 1, True)])
def test_a_price_is_seen_a_step_before_it_counts(
    new_protocol: NewProtocol, stale_after: int, at_once: bool
) -> None:
    """A poke comes a step late."""
    parameters = feed_of(stale_after=stale_after)
    protocol = priced(new_protocol(parameters))
    protocol.advance(2 * HOUR)
    says(protocol, PRICES["WETH"] // 2, 1, 2, 3)
    protocol.do("PriceFeed.poke", WETH, sender="stranger")
    counts = protocol.read("PriceFeed.current_price", WETH) == PRICES["WETH"] // 2
    assert counts is at_once is breaks("stale-after", parameters)


@pytest.mark.parametrize(("dead_after", "liquidates"), [(4 * HOUR, False), (4 * HOUR - 1, True)])
def test_a_stale_price_liquidates_nobody(
    new_protocol: NewProtocol, dead_after: int, liquidates: bool
) -> None:
    """Not before the feed has been late for as long as a price lasts, four hours."""
    parameters = feed_of(dead_after=dead_after)
    protocol = priced(new_protocol(parameters))
    protocol.advance(8 * HOUR)
    assert (protocol.read("PriceFeed.liquidation_price", WETH) != 0) is liquidates
    assert breaks("dead-after", parameters) is liquidates


@pytest.mark.parametrize(("price", "dear"), [(20, False), (1_900, True)])
def test_an_owner_loses_no_more_than_a_hundredth_of_the_floor(
    new_protocol: NewProtocol, price: int, dear: bool
) -> None:
    """A token without decimals, a debt floor of 2,000, a limit just above it: a part of a vault is sold.

    A lot is worth its principal, however dear a unit is; but a target ends in whole units.
    """
    parameters = with_weth(decimals=0, auction_limit=2_100, stability_fee=0)
    protocol = priced(new_protocol(parameters), price * RAY)
    debt = 20_000 * WAD
    collateral = div_up(debt * 15_000 // BASIS_POINTS, price * WAD) * WAD
    protocol.borrow("borrower", "WETH", collateral, debt)
    now = debt * 14_400 * RAY // (BASIS_POINTS * collateral)
    protocol.post_price("WETH", now)
    protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")
    auction = protocol.read("CollateralAuction.auction_of", 1)
    assert auction.lot * now >= auction.principal
    assert (WAD * now > 2_000 * RAD // 100) is dear
    assert breaks("token-unit", parameters, {"WETH": price * RAY}) is dear


@pytest.mark.parametrize(("limit", "stuck"), [(2_001, False), (2_000, True)])
def test_a_large_vault_is_liquidated_in_parts(new_protocol: NewProtocol, limit: int, stuck: bool) -> None:
    """The floor is 2,000."""
    parameters = with_weth(auction_limit=limit)
    protocol = priced(new_protocol(parameters))
    unsafe(protocol, 10_000 * WAD)
    try:
        protocol.do("LiquidationEngine.liquidate", WETH, "borrower", "keeper", sender="keeper")
        liquidated = True
    except RevertError as revert:
        assert revert.reason == "liquidation_engine: part too low"
        liquidated = False
    assert liquidated is not stuck
    assert breaks("auction-limit", parameters) is stuck


@pytest.mark.parametrize("rule", ["ceiling-and-floor", "flow-cap", "automatic-ceiling"])
@pytest.mark.parametrize(("most", "opens"), [(2_000, True), (1_999, False)])
def test_the_smallest_vault_can_be_opened(
    new_protocol: NewProtocol, rule: str, most: int, opens: bool
) -> None:
    """The vault owes 2,000."""
    weth, *others = build_guarded_parameters().collateral_types
    guards = build_guarded_parameters().guards
    assert guards is not None
    first, *ceilings = guards.ceilings
    if rule == "ceiling-and-floor":
        weth = replace(weth, debt_ceiling=most)
    elif rule == "flow-cap":
        weth = replace(weth, policy=replace(weth.policy, flow_cap=most))
    else:
        guards = replace(guards, ceilings=(replace(first, gap=most), *ceilings))
    parameters = replace(build_guarded_parameters(), collateral_types=(weth, *others), guards=guards)
    protocol = priced(new_protocol(parameters))
    if rule == "automatic-ceiling":
        protocol.do("AutoCeiling.adjust", WETH, sender="stranger")
    try:
        protocol.borrow("borrower", "WETH", 10 * WAD, 2_000 * WAD)
        opened = True
    except RevertError:
        opened = False
    assert opened is opens is not breaks(rule, parameters)


@pytest.mark.parametrize(("lot", "coarse"), [(10_000, False), (9_999, True)])
def test_a_lots_price_is_exact_to_a_basis_point(new_protocol: NewProtocol, lot: int, coarse: bool) -> None:
    """At a coin for a token, and just under a whole wei a lot more; the scenario has a hundred coins."""
    plain = build_margin_parameters()
    assert plain.margin is not None
    first, *_ = plain.margin.markets
    parameters = replace(plain, margin=replace(plain.margin, markets=(replace(first, lot=lot),)))
    protocol = new_protocol(parameters)
    price = RAY + RAY // lot - 1
    protocol.post_price("WETH", price)
    whole, _, _ = protocol.read("MarginPolicy.mark_price", 0, HOUR)
    assert price * lot // RAY == whole
    assert ((price * lot - whole * RAY) * BASIS_POINTS >= RAY * lot) is coarse
    assert breaks("lot", parameters, {"WETH": 100 * RAY}) is coarse

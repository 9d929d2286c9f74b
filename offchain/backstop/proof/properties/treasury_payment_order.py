"""The properties of the treasury: the order and amounts of its payments, and the sale of surplus."""

from __future__ import annotations

from typing import Any

from backstop.contract_base import ZERO_ADDRESS
from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import RAY, WAD
from backstop.model.bounds import EQUITY_MARKET, MAX_PRICE
from backstop.model.listed_types import decode_listed_types
from backstop.proof.properties.independent_arithmetic.debt_at_risk_figures import compute_debt_at_risk
from backstop.proof.properties.independent_arithmetic.price_figures import (
    Read,
    compute_time_weighted_price,
    is_price_fresh,
)
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.stability_pool_calls import KINDS

_SALE = "SurplusAuction"
_DILUTION = 2**40
"""Tokens of a series that a wei has to be left for, while anything is."""
_CLOSED = 2
"""Settlement, once it has closed the books."""


@transition_property(62, writes=["plan"], calls=["Treasury.distribute"])
def treasury_spends_in_priority_order(step: Transition, changes: Changes) -> None:
    """Check that the treasury spends the reserve in its fixed order and amounts (property 62).

    The target and the amount of possible losses stay in the reserve. Recovery claims are repaid first, the
    most senior series first. The margin market's insurance then gets its share, up to its target. Pools with
    members get their shares, rounded down. The rest is offered for sale as surplus. Nothing is spent while a
    loss is open. Raises PropertyViolationError otherwise.
    """
    if not step.is_call("Treasury", "distribute"):
        for _, _, old, new in changes.get("plan", ()):
            sold = sum(log.values[1] for log in step.outcome.logs if log.event == "SurplusSold")
            if new.offered != old.offered - sold:
                raise PropertyViolationError(
                    f"{step.action.method} made an offer of {new.offered} of {old.offered}"
                )
        return
    treasury: Any = step.model.world.contracts["Treasury"]
    names = {each.address: name for name, each in step.model.world.contracts.items()}
    if _sum_deficits(step):
        raise PropertyViolationError("the reserve was distributed while losses were open")
    reserve = step.read_pre_state("VaultEngine", "ledger.system").reserve // RAY
    start, doubt, expected = reserve, _compute_total_possible_loss(step, step.read_pre_state), []
    for address in treasury.claim_addresses:
        series = step.read_pre_state(names[address], "series")
        due = min(max(0, reserve - doubt), series.outstanding)
        if due < series.outstanding:
            due = max(0, min(due, series.outstanding - -(-series.tokens // _DILUTION)))
        if due:
            expected.append(("ClaimsRepaid", address, due))
        reserve -= due
    plan, insuring = step.read_pre_state("Treasury", "plan"), step.read_pre_state("Treasury", "insuring")
    offered = min(plan.offered, max(0, reserve - plan.target * WAD))
    unpaid = fresh_surplus = max(0, reserve - doubt - plan.target * WAD - offered)
    if treasury.fund_address != ZERO_ADDRESS:
        lacks = max(0, insuring.target * WAD - step.read_pre_state("MarginFund", "insurance").amount)
        insured = min(fresh_surplus * insuring.share // 10_000, lacks)
        if insured:
            expected.append(("FundInsured", treasury.fund_address, insured))
        reserve, fresh_surplus = reserve - insured, fresh_surplus - insured
    for i, address in enumerate(treasury.pool_addresses):
        share = (
            (unpaid - _sum_fund_insured_events(expected))
            * step.read_post_state("Treasury", "shares", i)
            // 10_000
        )
        if share and _has_members(step, names[address]):
            expected.append(("IncomeShared", address, share))
            reserve, fresh_surplus = reserve - share, fresh_surplus - share
    told = [
        (log.event, *log.values)
        for log in step.outcome.logs
        if log.contract == "Treasury" and log.event not in ("SurplusOffered", "Approval")
    ]
    if told != expected:
        raise PropertyViolationError(f"the treasury spent {told}, not {expected}")
    left = step.read_post_state("VaultEngine", "ledger.system").reserve // RAY
    if left != reserve or step.outcome.value != start - reserve:
        raise PropertyViolationError(f"a reserve of {start} wei became {left}, not {reserve}")
    if step.read_post_state("Treasury", "plan") != plan._replace(offered=offered + fresh_surplus):
        raise PropertyViolationError(
            f"{step.read_post_state('Treasury', 'plan')} of {plan}: not {offered + fresh_surplus} for sale"
        )
    received = {
        each.key: each.new - each.old
        for each in changes.get("erc20.balanceOf", ())
        if _is_stablecoin_change(each)
    }
    for _, address, amount in expected:
        received[address] = received.get(address, 0) - amount
    if any(received.values()):
        raise PropertyViolationError(f"beside what the treasury spent {received} moved")


def _has_members(step: Transition, pool: str) -> bool:
    """Return whether a pool has shares; for a stability pool, whether it has active coins."""
    if step.get_contract(pool).KIND in KINDS:
        return bool(step.read_pre_state(pool, "product_sum.state").coins)
    return bool(step.read_pre_state(pool, "token.state").supply)


def _sum_fund_insured_events(expected_events: list[tuple[str, str, int]]) -> int:
    return sum(amount for event, _, amount in expected_events if event == "FundInsured")


def _is_stablecoin_change(change: Any) -> bool:
    return bool(change.contract == "Stablecoin")


def _sum_deficits(step: Transition) -> int:
    """Return the sum of all deficits before the step [rad], or 0 once settlement closed the books."""
    if step.read_pre_state("LossWaterfall", "books").settlement == _CLOSED:
        return 0
    return sum(int(step.read_pre_state("VaultEngine", "ledger.deficit", c)) for c in _read_listed_types(step))


def _compute_total_possible_loss(step: Transition, read: Read) -> int:
    """Return all deficits and debt at risk [wad, rounded up]."""
    types = _read_listed_types(step)
    return -(
        -sum(read("VaultEngine", "ledger.deficit", c) + compute_debt_at_risk(step, read, c) for c in types)
        // RAY
    )


def _read_listed_types(step: Transition) -> list[int]:
    return decode_listed_types(step.read_post_state("VaultEngine", "terms.listed"))


@transition_property(63, writes=["lot", "prices"])
def surplus_auction_follows_price_curve(step: Transition, changes: Changes) -> None:
    """Check that a surplus auction sells on its falling price line and burns the equity (property 63).

    It starts above the market price and falls linearly to a floor. It starts at fresh current and next
    prices, after the last lot is sold or expired. The whole lot must be offered and lie above the reserve's
    target. A buyer gets the requested amount, with the payment rounded up. Raises PropertyViolationError
    otherwise.
    """
    changed = [each for path in ("lot", "prices") for each in changes.get(path, ()) if each.contract == _SALE]
    if not changed:
        return
    sale: Any = step.model.world.contracts[_SALE]
    old, new = step.read_pre_state(_SALE, "lot"), step.read_post_state(_SALE, "lot")
    prices, now = step.read_post_state(_SALE, "prices"), step.model.timestamp
    plan = step.read_pre_state("Treasury", "plan")
    kept = _compute_total_possible_loss(step, step.read_pre_state) + plan.target * WAD
    above = step.read_pre_state("VaultEngine", "ledger.system").reserve // RAY - kept
    for_sale = max(0, min(plan.offered, above))
    takes = [log.values[1:3] for log in step.outcome.logs if (log.contract, log.event) == (_SALE, "Taken")]
    if not takes:
        over = not old.lot or now > old.started_at + sale.duration
        average = compute_time_weighted_price(step, step.read_pre_state, EQUITY_MARKET)
        prices_of = step.read_pre_state("PriceFeed", "prices", EQUITY_MARKET)
        known = min(prices_of.current, prices_of.next)
        if not over or not known or not is_price_fresh(step, step.read_pre_state, EQUITY_MARKET):
            raise PropertyViolationError(f"{new} was started over {old}, at prices of {prices_of}")
        expected = tuple(
            min(RAY * RAY // price * share // 10_000, MAX_PRICE)
            for price, share in ((min(known, average), sale.buf), (average, sale.floor))
        )
        lot = sale.whole_lot * WAD
        if tuple(prices) != expected or tuple(new) != (lot, now) or lot > for_sale:
            raise PropertyViolationError(
                f"{new} is sold at {prices}, not {expected}; {for_sale} are for sale"
            )
    else:
        elapsed = now - old.started_at
        price = -((prices.floor * elapsed + prices.top * (sale.duration - elapsed)) // -sale.duration)
        sold, paid = (sum(each) for each in zip(*takes, strict=True))
        # A contract that takes is told the auction before.
        asked, most_price = step.action.args[step.action.method != "take" :][:2]
        if elapsed > sale.duration or price > most_price or (len(takes) == 1 and sold != min(asked, old.lot)):
            raise PropertyViolationError(f"{sold} were sold of {old} at {price}, {asked} were asked for")
        if new != old._replace(lot=old.lot - sold) or any(b != -(-a * price // RAY) for a, b in takes):
            raise PropertyViolationError(f"{takes} were sold at {price}: {old} became {new}")
        burned = step.read_pre_state("Equity", "erc20.totalSupply") - step.read_post_state(
            "Equity", "erc20.totalSupply"
        )
        spent = step.read_pre_state("VaultEngine", "ledger.system").reserve
        spent -= step.read_post_state("VaultEngine", "ledger.system").reserve
        offered = plan.offered - step.read_post_state("Treasury", "plan").offered
        if (burned, spent, offered) != (paid, sold * RAY, sold) or sold > for_sale or _sum_deficits(step):
            raise PropertyViolationError(
                f"{sold} were sold for {paid}: {burned} burned, {spent} rad, {offered} less offered"
            )

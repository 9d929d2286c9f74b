"""Promises that today's rules do not keep, as properties: a campaign asserts them with --promises.

Each becomes an ordinary property, under its number, with the rule that keeps it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from backstop.proof.properties import stages
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.registry import Violation, history_promise, transition_promise
from backstop.proof.properties.transition import Changes, Transition
from backstop.proof.properties.vaults import covers

if TYPE_CHECKING:
    from backstop.hosts.model import ModelSystem

_WATERFALL, _AUCTION, _FEED = "LossWaterfall", "CollateralAuction", "PriceFeed"


@transition_promise(70)
def only_what_is_unsafe_is_marked(step: Transition, changes: Changes) -> None:
    """Assert that a vault is marked only while anybody may liquidate it by its ratio and the price of now."""
    if not step.calls(_WATERFALL, "mark_vault"):
        return
    for log in step.outcome.logs:
        if log.event == "VaultMarked" and log.values[2]:
            c, owner, mark = log.values
            vault = step.after("VaultEngine", "vaults", (c, owner))
            if covers(step, c, vault, step.after("VaultEngine", "terms.of_types", c).liquidation_ratio):
                raise Violation(f"vault {c, owner} is safe, and marked with {mark}")


@history_promise(71)
class ACapHoldsOverAnyWindow:
    """In any time as long as an epoch a stage pays no more than its share of what it had before."""

    def __init__(self, model: ModelSystem) -> None:
        # (type, stage) -> when, what it had before, what it paid [rad].
        self._payments: dict[tuple[int, int], list[tuple[int, int, int]]] = defaultdict(list)

    def see(self, step: Transition, changes: Changes) -> None:
        """Keep the payments of the last window."""
        if "covered" not in changes or step.before(_WATERFALL, "counts").settlement:
            return
        now, length = step.model.timestamp, step.contract(_WATERFALL).epoch_length
        for log in step.outcome.logs:
            if (log.contract, log.event) != (_WATERFALL, "LossCovered"):
                continue
            c, _, k, amount = log.values
            terms = step.after(_WATERFALL, "stages", k)
            if terms.cap_bps == BASIS_POINTS or stages.stage_of(step, k).KIND not in (
                "Pool",
                "ClawbackStage",
            ):
                continue
            window = [each for each in self._payments[c, k] if each[0] > now - length]
            window.append((now, int(stages.capacity(step, k, c)), amount))
            self._payments[c, k] = window
            # What has entered meanwhile may pay as well: the most that there ever was to take a share of.
            paid, most = 0, 0
            for _, had, part in window:
                most = max(most, had + paid)
                paid += part
            if paid > most * terms.cap_bps // BASIS_POINTS + RAY * len(window):
                raise Violation(f"stage {k} pays {paid} of {most} for type {c} within {length} s")


@transition_promise(72)
def one_call_charges_all_time(step: Transition, changes: Changes) -> None:
    """Assert that whoever touches a type's debt is charged, and charges, for all time up to now."""
    for _, c, old, new in changes.get("ledger.debts", ()):
        touched = new.accrued_at != old.accrued_at or new.normalized_debt > old.normalized_debt
        late = new.accrued_at != step.model.timestamp
        if old.accumulated_rate and touched and late and _has_fee(step, c):
            raise Violation(f"type {c} is charged up to {new.accrued_at}, not {step.model.timestamp}")


@transition_promise(73)
def only_what_a_lot_cannot_bring_is_given_up(step: Transition, changes: Changes) -> None:
    """Assert that the principal of a closed auction is lost but for what its lot is worth."""
    if not step.calls(_AUCTION, "close"):
        return
    for log in step.outcome.logs:
        if log.event != "AuctionClosed":
            continue
        id, c, principal, lot = log.values
        worth = lot * step.after(_FEED, "prices", c).current
        if principal and worth >= RAY * 10**18 and principal > max(0, principal - worth):
            raise Violation(f"auction {id}: {principal} rad is lost beside a lot worth {worth}")


@transition_promise(75)
def a_final_price_is_a_valid_one(step: Transition, changes: Changes) -> None:
    """Assert that settlement takes no price that is stale but not dead, halted, or about to be replaced."""
    if not step.calls("Settlement", "fix_price"):
        return
    c = step.action.args[0]
    prices, config = step.after(_FEED, "prices", c), step.after(_FEED, "configs", c)
    late = step.model.timestamp - prices.fresh_until
    dead = 0 < config.dead_after < late
    if prices.current and not dead and (late > 0 or config.halted or config.suspect):
        raise Violation(f"type {c} is settled at {prices}, {late} s late, {config}")


@transition_promise(76)
def no_power_makes_a_safe_vault_unsafe(step: Transition, changes: Changes) -> None:
    """Assert that no parameter's change lets a vault be liquidated that was safe the moment before."""
    for _, c, old, new in changes.get("terms.of_types", ()):
        if not old.liquidation_ratio or new.liquidation_ratio <= old.liquidation_ratio:
            continue
        vaults = step.model.world.contracts["VaultEngine"].tables["vaults"]
        for (at, owner), vault in vaults.items():
            if at != c or not vault.normalized_debt:
                continue
            if covers(step, c, vault, old.liquidation_ratio) and not covers(
                step, c, vault, new.liquidation_ratio
            ):
                raise Violation(f"vault {c, owner} was safe at {old.liquidation_ratio}, not at the new ratio")


@transition_promise(77)
def no_minority_sets_a_price(step: Transition, changes: Changes) -> None:
    """Assert that more reporters than any minority has are at the next price or under it, and at or over."""
    if not step.calls(_FEED, "poke"):
        return
    c, now = step.action.args[0], step.model.timestamp
    config, price = step.before(_FEED, "configs", c), step.after(_FEED, "prices", c).next
    reports = [step.after(_FEED, "reports", (c, i)) for i in range(1, config.reporters + 1)]
    fresh = [each.price for each in reports if each.price and each.reported_at + config.max_age >= now]
    minority = (config.reporters - 1) // 2
    low, high = sum(each <= price for each in fresh), sum(each >= price for each in fresh)
    if price and min(low, high) <= minority:
        raise Violation(f"market {c}: {fresh} of {config.reporters} reporters make it {price}")


def _has_fee(step: Transition, c: int) -> bool:
    return bool(step.before("VaultEngine", "ledger.income", c).stability_fee)

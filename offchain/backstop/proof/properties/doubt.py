"""Properties of debt in doubt, of one successful step: what is flagged, and what ends a flag."""

from __future__ import annotations

from backstop.proof.properties.figures import policies
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.sums import principal_left
from backstop.proof.properties.transition import Changes, Transition
from backstop.proof.properties.vaults import covers
from backstop.system import Action

_ENGINE, _LIQUIDATIONS, _WORKOUTS, _FEED = "VaultEngine", "LiquidationEngine", "Workouts", "PriceFeed"
_NOBODY = "0x" + "00" * 20
_LEAVING = {
    (_LIQUIDATIONS, "liquidate"),
    (_LIQUIDATIONS, "write_down"),
    (_WORKOUTS, "enter"),
    (_WORKOUTS, "top_up"),
}
"""Calls by which debt leaves a vault for an auction, a workout or a deficit."""


@transition_property(
    40,
    writes=["doubt.of_vaults", "balances"],
    calls=map(".".join, _LEAVING),
    events=["*.VaultFlagged", "*.WorkoutFlagged"],
)
def doubt_is_all_or_nothing(step: Transition, changes: Changes) -> None:
    """Assert that a look flags all of a debt that may be liquidated at the lowest known price, or none.

    Of an issuer's vault it is what is missing at the issuer's price. A liquidation leaves a flag at most on
    what is left of the debt, and nothing else touches one. Of a workout it is all of the principal, or none.
    """
    told = {}
    for log in step.outcome.logs:
        if log.event == "VaultFlagged":
            told[log.values[:2]] = log.values[2]
        elif log.event == "WorkoutFlagged":
            _check_workout(step, *log.values)
    flags = {each.key: each.old for each in changes.get("doubt.of_vaults", ())}
    if not flags.keys() <= told.keys():
        raise Violation(f"flags of {sorted(flags.keys() - told.keys())} changed, and nobody was told")
    for (c, owner), flag in told.items():
        known = step.after(_LIQUIDATIONS, "doubt.of_vaults", (c, owner))
        if (step.action.contract, step.action.method) in _LEAVING:
            left = step.after(_ENGINE, "vaults", (c, owner)).normalized_debt
            expected = min(flags.get((c, owner), known), left)
        else:
            expected = _in_doubt(step, c, owner)
        if not flag == known == expected:
            raise Violation(f"vault {c, owner} is flagged with {flag}, {known} are kept, not {expected}")
    _check_the_rest(step, changes)


def _check_the_rest(step: Transition, changes: Changes) -> None:
    """Assert that no flag is left on what a liquidation took, and no workout flagged by another call."""
    if (step.action.contract, step.action.method) in _LEAVING:
        for contract, key, _, vault in changes.get("vaults", ()):
            if contract != _ENGINE:
                continue
            flag = step.after(_LIQUIDATIONS, "doubt.of_vaults", key)
            if flag > vault.normalized_debt:
                raise Violation(f"vault {key} owes {vault.normalized_debt} and is flagged with {flag}")
    for contract, id, old, new in changes.get("balances", ()):
        is_touched = contract == _WORKOUTS and new.left and new.flagged != old.flagged
        if is_touched and not step.calls(_WORKOUTS, "flag"):
            raise Violation(f"{step.action.method} flagged workout {id}, or cleared it")


def _in_doubt(step: Transition, c: int, owner: str) -> int:
    """Return the normalized debt of a vault that is in doubt [wad]."""
    vault, rate = step.after(_ENGINE, "vaults", (c, owner)), _rate(step, c)
    if not vault.normalized_debt:
        return 0
    price = _lowest_price(step, c)
    if not price:
        raise Violation(f"vault {c, owner} was flagged without a price")
    if step.after(_FEED, "issuer_of", c) != _NOBODY:
        missing = max(0, vault.normalized_debt * rate - vault.locked_collateral * price)
        return -(-missing // rate)
    if not covers(step, c, vault, step.after(_ENGINE, "terms.of_types", c).liquidation_ratio, price):
        return int(vault.normalized_debt)
    if not vault.called_at:
        return 0
    terms = policies.call_terms(step, c)
    due = vault.called_at + terms.grace
    in_time = due <= step.model.timestamp <= due + terms.valid
    is_due = terms.ratio and in_time and not covers(step, c, vault, terms.ratio, price)
    return int(vault.normalized_debt) if is_due else 0


def _check_workout(step: Transition, id: int, c: int, told: int) -> None:
    balance, sums = step.after(_WORKOUTS, "balances", id), step.after(_WORKOUTS, "sums", id)
    schedule = step.after(_WORKOUTS, "schedules", id)
    principal = principal_left(balance.left, sums.premium, sums.excess)
    late = step.model.timestamp > schedule.entered_at + (balance.met + 1) * schedule.interval
    price = _lowest_price(step, c)
    if principal and not late and not price:
        raise Violation(f"workout {id} was flagged without a price")
    short = balance.lot * price * BASIS_POINTS < principal * schedule.ratio
    expected = principal if principal and (late or short) else 0
    if told != expected or bool(balance.flagged) != bool(expected):
        raise Violation(f"workout {id}, {balance}, is flagged with {told}, not {expected}")


def _lowest_price(step: Transition, c: int) -> int:
    """Return the lower of current and next price [ray]; 0 while the feed is stale and not yet dead."""
    prices, feed = step.after(_FEED, "prices", c), step.after(_FEED, "configs", c)
    stale_for = step.model.timestamp - prices.fresh_until
    if stale_for > 0 and not 0 < feed.dead_after < stale_for:
        return 0
    coming = prices.next or step.after(_FEED, "withheld", c) or prices.current
    return int(min(prices.current, coming))


def _rate(step: Transition, c: int) -> int:
    return int(step.after(_ENGINE, "ledger.debts", c).accumulated_rate)


@transition_property(70, calls=["LiquidationEngine.flag"])
def only_what_is_unsafe_is_flagged(step: Transition, changes: Changes) -> None:
    """Assert that a vault flagged at the present price is none that liquidations refuse as safe."""
    if not step.calls(_LIQUIDATIONS, "flag"):
        return
    for log in step.outcome.logs:
        if log.event != "VaultFlagged" or not log.values[2]:
            continue
        c, owner, flag = log.values
        prices = step.after(_FEED, "prices", c)
        coming = prices.next or step.after(_FEED, "withheld", c)
        if step.after(_FEED, "issuer_of", c) != _NOBODY or 0 < coming < prices.current:
            continue
        liquidation = Action(_LIQUIDATIONS, "liquidate", (c, owner, step.action.sender), step.action.sender)
        if step.model.dry_run(liquidation).reason == "liquidation_engine: safe vault":
            raise Violation(f"vault {c, owner} is safe, and flagged with {flag}")

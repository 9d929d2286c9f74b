"""Properties of the guards, each of one successful step; their arithmetic is their own."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import BASIS_POINTS, RAD
from backstop.model.auto_ceiling import Terms
from backstop.model.circuit_breaker import AUCTIONS, FALL, LOSSES, SILENCE
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import GUARDIAN
from backstop.proof.properties.independent_arithmetic.price_figures import compute_time_weighted_price
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property


@transition_property(21, writes=["state", "terms"], events=["*.TriggerSeen"])
def mode_follows_triggers(step: Transition, changes: Changes) -> None:
    """Check that the circuit breaker's mode changes only for a valid reason (property 21).

    It rises to the level of a trigger that holds, or by the guardian. It falls by one level after the calm
    period, if no trigger holds at the level that it leaves. Only a trigger that holds interrupts the calm
    period. The risk policy takes over the same mode for each type. Raises PropertyViolationError otherwise.
    """
    for log in step.outcome.logs:
        if (
            log.event == "TriggerSeen"
            and step.read_post_state(log.contract, "state").calm_from != step.model.timestamp
        ):
            raise PropertyViolationError(f"trigger {log.values[0]} was seen, and calm goes on")
    for contract, _, old, new in changes.get("state", ()):
        if (old.mode, old.calm_from) == (new.mode, new.calm_from):
            continue  # its period is a parameter
        method, args, sender = step.action.method, step.action.args, step.action.sender
        now = step.model.timestamp
        if new.calm_from != now or step.read_post_state("Settlement", "progress").begun_at:
            raise PropertyViolationError(f"{old} became {new} at {now}")
        if method == "force_mode":
            guards = step.read_pre_state(contract, "roles.access_control.hasRole", (GUARDIAN, sender))
            fair = guards and new.mode == args[0] > old.mode
        elif method == "raise_mode":
            level = _compute_trigger_level(step, *args)
            fair = level > 0 and new.mode == level >= old.mode
        else:
            calm = method == "lower_mode" and now >= old.calm_from + old.calm_period
            fair = calm and new.mode == old.mode - 1 and max(_iter_trigger_levels(step)) < old.mode
        if not fair:
            raise PropertyViolationError(f"{sender} changed {old} to {new} by {method}{args}")
        known = step.read_post_state("RiskPolicy", "modes").mode
        if known != new.mode:
            raise PropertyViolationError(f"the mode is {new.mode}, the policy knows {known}")
    for contract, c, old, new in changes.get("terms", ()):
        if contract == "RiskPolicy" and new.mode not in (
            old.mode,
            step.read_post_state(contract, "modes").mode,
        ):
            raise PropertyViolationError(f"type {c} knows the mode {new.mode}")


@transition_property(22, writes=["terms.of_types", "terms"])
def auto_ceiling_rises_once_per_ttl(step: Transition, changes: Changes) -> None:
    """Check that an automatic debt ceiling equals debt plus gap, up to its maximum (property 22).

    It rises at most once within its minimum interval `ttl`. Raises PropertyViolationError otherwise.
    """
    if "AutoCeiling" not in step.model.world.contracts:
        return
    is_call = (step.action.contract, step.action.method) == ("AutoCeiling", "adjust")
    raised: set[int] = set()
    for _, c, old, new in changes.get("terms.of_types", ()):
        if not is_call:
            continue
        terms: Terms = step.read_pre_state("AutoCeiling", "terms", c)
        exact = Fraction(
            _compute_accrued_type_debt(step, c)
            + _read_auctioned_debt(step, c)
            + _read_deficit_after_step(step, c),
            RAD,
        )
        if not terms.max_line or new.debt_ceiling != min(-int(-exact // 1) + terms.gap, terms.max_line):
            raise PropertyViolationError(
                f"type {c}: a ceiling of {new.debt_ceiling} for {float(exact)}, {terms}"
            )
        if new.debt_ceiling > old.debt_ceiling:
            raised.add(c)
            if step.model.timestamp < terms.raised_at + terms.ttl:
                raise PropertyViolationError(f"type {c}: raised again within its ttl, {terms}")
    for contract, c, old, new in changes.get("terms", ()):
        if contract == "AutoCeiling" and old.raised_at != new.raised_at:
            if c not in raised or new.raised_at != step.model.timestamp:
                raise PropertyViolationError(f"type {c}: {old} became {new} without a raise")
            raised.remove(c)
    if raised:
        raise PropertyViolationError(f"types {sorted(raised)}: a raise that is not remembered")


def _iter_trigger_levels(step: Transition) -> Iterator[int]:
    """Yield the level (0, 1 or 2) of each circuit breaker trigger, for each collateral type."""
    yield _compute_trigger_level(step, LOSSES, 0)
    for c in decode_listed_types(step.read_post_state("VaultEngine", "terms.listed")):
        for trigger in (FALL, SILENCE, AUCTIONS):
            yield _compute_trigger_level(step, trigger, c)


def _compute_trigger_level(step: Transition, trigger: int, collateral_type: int) -> int:
    """Return the level of a circuit breaker trigger: 2, 1, or 0 if no threshold is reached."""
    reached = _measure_trigger(step, trigger, collateral_type)
    if reached is None:
        return 0
    place = 2 * (trigger - 1)
    thresholds = step.read_post_state("CircuitBreaker", "triggers")[place : place + 2]
    return max((i for i, each in enumerate(thresholds, 1) if each and reached >= each), default=0)


def _measure_trigger(step: Transition, trigger: int, collateral_type: int) -> Fraction | None:
    """Return the measured value of a trigger in the unit of its thresholds, or None without a value.

    Losses are in stablecoins, debt under auction in basis points of its limit, silence of a feed in seconds.
    A price fall is in basis points of the average price.
    """
    if trigger == LOSSES:
        types = decode_listed_types(step.read_post_state("VaultEngine", "terms.listed"))
        return Fraction(sum(_read_deficit_after_step(step, each) for each in types), RAD)
    if trigger == AUCTIONS:
        limit, sold = (
            step.read_post_state("VaultEngine", "ledger.auctions", collateral_type).limit,
            _read_auctioned_debt(step, collateral_type),
        )
        if sold == 0:
            return None
        # Over a limit of nothing is over any threshold.
        return Fraction(sold * BASIS_POINTS, limit * RAD) if limit else Fraction(BASIS_POINTS)
    if _compute_accrued_type_debt(step, collateral_type) + _read_auctioned_debt(step, collateral_type) == 0:
        return None
    prices, now = step.read_post_state("PriceFeed", "prices", collateral_type), step.model.timestamp
    if trigger == SILENCE:
        # A week beyond both thresholds a feed is no news any more.
        longest = max(step.read_post_state("CircuitBreaker", "triggers")[4:6]) + 7 * 86_400
        return Fraction(now - prices.fresh_until) if 0 < now - prices.fresh_until <= longest else None
    average = compute_time_weighted_price(step, step.read_post_state, collateral_type)
    if now > prices.fresh_until or prices.current == 0 or prices.current >= average:
        return None
    return BASIS_POINTS * (1 - Fraction(prices.current, average))


def _compute_accrued_type_debt(step: Transition, collateral_type: int) -> int:
    debts = step.read_post_state("VaultEngine", "ledger.debts", collateral_type)
    return int(debts.normalized_debt * debts.accumulated_rate)


def _read_auctioned_debt(step: Transition, collateral_type: int) -> int:
    return int(step.read_post_state("VaultEngine", "ledger.auctions", collateral_type).in_auction)


def _read_deficit_after_step(step: Transition, collateral_type: int) -> int:
    return int(step.read_post_state("VaultEngine", "ledger.deficit", collateral_type))

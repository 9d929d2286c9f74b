"""Properties of vaults, of one successful step: which may be liquidated, and what may make one less safe."""

from __future__ import annotations

from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.bounds import MAX_PRICE
from backstop.model.interfaces import CallTerms, Vault
from backstop.proof.properties.figures import policies
from backstop.proof.properties.figures.prices import known_prices
from backstop.proof.properties.registry import Violation, transition_property
from backstop.proof.properties.transition import Changes, Transition, unwinds


@transition_property(8, writes=["vaults", "last_id"])
def only_unsafe_vaults_are_liquidated(step: Transition, changes: Changes) -> None:
    """Assert that a liquidated vault was under its liquidation ratio, or had not met a call in time.

    Only a vault under the call ratio is called, and it has a grace to meet the call. Both ratios are taken at
    the current price, fresh or of a feed given up as dead; no halt and no grace of the market stood against
    it. The auction starts from that or the next one, which is higher. Workouts have a property of their own.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.called_at > old.called_at:
            terms = policies.call_terms(step, c)
            if old.called_at and step.model.timestamp <= old.called_at + terms.grace + terms.valid:
                raise Violation(f"vault {c, owner} was called again")
            if not terms.ratio or covers(step, c, new, terms.ratio):
                raise Violation(f"vault {c, owner} was called although it has the margin")
    if "last_id" not in changes or step.action.method in ("sell_salvage", "enter"):
        return
    seized = changes.get("vaults", [])
    if not seized:
        raise Violation("an auction of no vault was started")
    for _, (c, owner), vault, _ in seized:
        prices, feed = step.after("PriceFeed", "prices", c), step.after("PriceFeed", "configs", c)
        stale_for = step.model.timestamp - prices.fresh_until
        if stale_for > 0 and not 0 < feed.dead_after < stale_for:
            raise Violation(f"vault {c, owner} was liquidated at a stale price")
        if prices.current == 0 or _held_back(step, c):
            raise Violation(f"vault {c, owner} was liquidated without a price, in a halt or in a grace")
        buf = step.after("CollateralAuction", "terms", c).buf
        for _, _, _, new in changes["tops"]:
            if new.top != min(max(known_prices(step, c)) * buf // BASIS_POINTS, MAX_PRICE):
                raise Violation(f"vault {c, owner}: the auction starts at {new.top}, not from the price")
        if covers(step, c, vault, step.before("VaultEngine", "terms.of_types", c).liquidation_ratio):
            terms = policies.call_terms(step, c) if vault.called_at else CallTerms()
            due = vault.called_at + terms.grace
            in_time = due <= step.model.timestamp <= due + terms.valid
            if not terms.ratio or not in_time or covers(step, c, vault, terms.ratio):
                raise Violation(f"vault {c, owner} was liquidated although it was safe")


def covers(step: Transition, c: int, vault: Vault, ratio: int, price: int | None = None) -> bool:
    """Return whether a vault is worth a ratio of its debt and the policy's add-on, at a price or today's."""
    debt = vault.normalized_debt * step.after("VaultEngine", "ledger.debts", c).accumulated_rate
    worth = vault.locked_collateral * (
        step.after("PriceFeed", "prices", c).current if price is None else price
    )
    return bool(worth * BASIS_POINTS >= debt * ratio + policies.add_on(step, c, debt))


@transition_property(9, writes=["vaults", "ledger.debts"])
def no_action_makes_a_vault_unsafe(step: Transition, changes: Changes) -> None:
    """Assert that collateral for a debt shrinks only if the initial ratio is then met at both prices.

    Neither may be suspect, and the market neither halted nor in a grace. What is left of a partial
    liquidation is never worse. A rate rises only with time and a fee, or by redistribution. In settlement
    an auction or a workout gives its vault back what it has taken and not sold.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.normalized_debt == 0 or unwinds(step):
            continue
        no_worse = new.locked_collateral * old.normalized_debt >= old.locked_collateral * new.normalized_debt
        if no_worse and old.normalized_debt:
            continue
        prices = step.after("PriceFeed", "prices", c)
        debt = new.normalized_debt * step.after("VaultEngine", "ledger.debts", c).accumulated_rate
        value = new.locked_collateral * min(prices.current, prices.next) * BASIS_POINTS
        safe = value >= debt * step.after("VaultEngine", "terms.of_types", c).initial_ratio
        stale = step.model.timestamp > prices.fresh_until
        if "last_id" in changes or not safe or stale or _held_back(step, c):
            raise Violation(f"vault {c, owner} got worse: {old} became {new}")
    for _, c, old, new in changes.get("ledger.debts", ()):
        if new.accumulated_rate != old.accumulated_rate and old.accumulated_rate:
            fee = step.before("VaultEngine", "ledger.income", c).stability_fee
            aged = new.accrued_at > old.accrued_at and fee
            shared = c in {key for _, key, *_ in changes.get("ledger.redistributions", ())}
            if new.accumulated_rate < old.accumulated_rate or not (aged or shared):
                raise Violation(f"type {c}: the rate moved without a fee for a time, or a loss to share")


def _held_back(step: Transition, c: int) -> bool:
    """Return whether a halt or a grace stands against new risk and liquidations."""
    feed = step.after("PriceFeed", "configs", c)
    return bool(feed.halted or step.model.timestamp < feed.grace_until)

"""Properties of vaults, of one successful step: liquidations, and changes that make a vault less safe."""

from __future__ import annotations

from backstop.lockstep.step_transition import Changes, Transition
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.bounds import MAX_PRICE
from backstop.model.interfaces import CallTerms, Vault
from backstop.proof.properties.fixed_discount_sales import can_sell_any_part, list_discount_sales
from backstop.proof.properties.independent_arithmetic import policy_margin_and_margin_call_terms
from backstop.proof.properties.independent_arithmetic.price_figures import list_known_prices
from backstop.proof.properties.property_registry import PropertyViolationError, transition_property
from backstop.proof.properties.step_transition import is_auction_or_workout_unwind


@transition_property(8, writes=["vaults", "last_id"], events=["LiquidationEngine.CollateralSold"])
def only_unsafe_vaults_are_liquidated(step: Transition, changes: Changes) -> None:
    """Check that a vault is liquidated only if it is unsafe or missed its margin call (property 8).

    Unsafe means under the liquidation ratio. A margin call goes only to a vault under the call ratio and
    gives it a grace period. The current price must be fresh, or the last price of a dead feed (stale for a
    set time). The market must be neither halted nor in a grace period. An auction starts from the higher of
    current and next price. A sale at a fixed discount needs a fresh price. Raises PropertyViolationError
    otherwise.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.called_at > old.called_at:
            terms = policy_margin_and_margin_call_terms.read_call_terms(step, c)
            if old.called_at and step.model.timestamp <= old.called_at + terms.grace + terms.valid:
                raise PropertyViolationError(f"vault {c, owner} was called again")
            if not terms.ratio or is_vault_covered(step, c, new, terms.ratio):
                raise PropertyViolationError(f"vault {c, owner} was called although it has the margin")
    sales = list_discount_sales(step)
    if not sales and ("last_id" not in changes or step.action.method in ("sell_salvage", "enter")):
        return
    seized = changes.get("vaults", [])
    if sales:
        sold = {(sale.collateral_type, sale.owner) for sale in sales}
        seized = [change for change in seized if change.key in sold]
    if not seized:
        raise PropertyViolationError("an auction of no vault was started")
    for _, (c, owner), vault, _ in seized:
        prices, feed = (
            step.read_post_state("PriceFeed", "prices", c),
            step.read_post_state("PriceFeed", "configs", c),
        )
        stale_for = step.model.timestamp - prices.fresh_until
        if stale_for > 0 and (sales or not 0 < feed.dead_after < stale_for):
            raise PropertyViolationError(f"vault {c, owner} was liquidated at a stale price")
        if prices.current == 0 or _is_feed_halted_or_graced(step, c):
            raise PropertyViolationError(
                f"vault {c, owner} was liquidated without a price, in a halt or in a grace"
            )
        buf = step.read_post_state("CollateralAuction", "terms", c).buf
        for _, _, _, new in changes.get("tops", ()):
            if new.top != min(max(list_known_prices(step, c)) * buf // BASIS_POINTS, MAX_PRICE):
                raise PropertyViolationError(
                    f"vault {c, owner}: the auction starts at {new.top}, not from the price"
                )
        if is_vault_covered(
            step, c, vault, step.read_pre_state("VaultEngine", "terms.of_types", c).liquidation_ratio
        ):
            terms = (
                policy_margin_and_margin_call_terms.read_call_terms(step, c)
                if vault.called_at
                else CallTerms()
            )
            due = vault.called_at + terms.grace
            in_time = due <= step.model.timestamp <= due + terms.valid
            if not terms.ratio or not in_time or is_vault_covered(step, c, vault, terms.ratio):
                raise PropertyViolationError(f"vault {c, owner} was liquidated although it was safe")


def is_vault_covered(
    step: Transition, collateral_type: int, vault: Vault, ratio: int, price: int | None = None
) -> bool:
    """Return whether a vault's collateral covers `ratio` times its debt plus the extra margin.

    `ratio` is in basis points. The price [ray] defaults to the current price.
    """
    debt = (
        vault.normalized_debt
        * step.read_post_state("VaultEngine", "ledger.debts", collateral_type).accumulated_rate
    )
    worth = vault.locked_collateral * (
        step.read_post_state("PriceFeed", "prices", collateral_type).current if price is None else price
    )
    return bool(
        worth * BASIS_POINTS
        >= debt * ratio
        + policy_margin_and_margin_call_terms.compute_extra_margin_amount(step, collateral_type, debt)
    )


@transition_property(9, writes=["vaults", "ledger.debts"])
def no_action_makes_a_vault_unsafe(step: Transition, changes: Changes) -> None:
    """Check that no call makes a vault less safe beyond the initial ratio (property 9).

    Collateral per debt may shrink only if the initial ratio is then met at current and next price. The prices
    must be fresh, and the market neither halted nor in a grace period. A partial liquidation never lowers the
    remaining ratio. A rate rises only by fees or redistributed losses. Raises PropertyViolationError
    otherwise.
    """
    for _, (c, owner), old, new in changes.get("vaults", ()):
        if new.normalized_debt == 0 or is_auction_or_workout_unwind(step):
            continue
        if any(can_sell_any_part(step, sale) for sale in list_discount_sales(step)):
            continue  # the naive rule: a part may leave the rest worse
        no_worse = new.locked_collateral * old.normalized_debt >= old.locked_collateral * new.normalized_debt
        if no_worse and old.normalized_debt:
            continue
        prices = step.read_post_state("PriceFeed", "prices", c)
        debt = new.normalized_debt * step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
        value = new.locked_collateral * min(prices.current, prices.next) * BASIS_POINTS
        safe = value >= debt * step.read_post_state("VaultEngine", "terms.of_types", c).initial_ratio
        stale = step.model.timestamp > prices.fresh_until
        if "last_id" in changes or not safe or stale or _is_feed_halted_or_graced(step, c):
            raise PropertyViolationError(f"vault {c, owner} got worse: {old} became {new}")
    for _, c, old, new in changes.get("ledger.debts", ()):
        if new.accumulated_rate != old.accumulated_rate and old.accumulated_rate:
            fee = step.read_pre_state("VaultEngine", "ledger.income", c).stability_fee
            aged = new.accrued_at > old.accrued_at and fee
            shared = c in {key for _, key, *_ in changes.get("ledger.redistributions", ())}
            if new.accumulated_rate < old.accumulated_rate or not (aged or shared):
                raise PropertyViolationError(
                    f"type {c}: the rate moved without a fee for a time, or a loss to share"
                )


def _is_feed_halted_or_graced(step: Transition, collateral_type: int) -> bool:
    """Return whether the market is halted or in a grace period, which block new risk and liquidations."""
    feed = step.read_post_state("PriceFeed", "configs", collateral_type)
    return bool(feed.halted or step.model.timestamp < feed.grace_until)

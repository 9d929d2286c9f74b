"""Properties of collateral auctions: start, cost of a take, and principal released at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.lockstep.step_transition import Changes, Transition
from backstop.proof.properties.independent_arithmetic import property_arithmetic as own
from backstop.proof.properties.independent_arithmetic.price_figures import (
    compute_time_weighted_price,
    list_known_prices,
)
from backstop.proof.properties.independent_arithmetic.property_arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.property_registry import (
    PropertyViolationError,
    history_property,
    transition_property,
)

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_AUCTION = "CollateralAuction"
_WAD, _MICRO = 10**18, 10**12
_BY_THE_CLOCK = ("AuctionStarted", "AuctionReset", "Taken", "AuctionClosed")
_MOST_PENALTY, _MOST_PRICE = (2**48 - 1) * _MICRO, 2**112 - 1


@transition_property(37, calls=["CollateralAuction.take"])
def take_pays_curve_price(step: Transition, changes: Changes) -> None:
    """Assert that a taker pays the curve's price for its collateral, rounded up, and never above the target.

    The rounding is less than a unit of the token, and the payment for the received collateral stays within
    the named price. The payment repays principal first, and the rest goes to the buffer. The remainder of a
    lot with a raised target goes back.
    """
    if not step.is_call(_AUCTION, "take"):
        return
    auction_id, now = step.action.args[0], _compute_time_by_blocks_or_timestamp(step)
    lot, top = (
        step.read_pre_state(_AUCTION, "lots", auction_id),
        step.read_pre_state(_AUCTION, "tops", auction_id),
    )
    c = lot.collateral_type
    terms = _read_lot_terms(step, lot)
    _check_start_not_in_future(auction_id, lot, now)
    price, off = own.compute_auction_price_with_tolerance(
        terms.curve, terms.period, terms.cut, top.top, now - lot.started_at
    )
    taken = [log for log in step.outcome.logs if (log.contract, log.event) == (_AUCTION, "Taken")]
    if len(taken) != 1 or now - lot.started_at > terms.tail:
        return  # takes inside a take are looked at by what they leave
    _, _, collateral, paid, rest = taken[0].values
    unit = 10 ** (18 - terms.decimals)
    enough = paid * RAY >= collateral * max(0, price - off)
    if not enough or paid * RAY >= (collateral + unit) * (price + off) + RAY:
        raise PropertyViolationError(f"auction {auction_id}: {paid} for {collateral} at a price of {price}")
    if (paid - 1) * RAY >= (collateral + 1) * step.action.args[2]:
        raise PropertyViolationError(
            f"auction {auction_id}: {paid} for {collateral}, at {step.action.args[2]} at most"
        )
    left = step.read_post_state(_AUCTION, "lots", auction_id)
    if paid > lot.target or rest != (lot.target - paid) * RAY or left.target * RAY != rest:
        raise PropertyViolationError(
            f"auction {auction_id}: {paid} of {lot.target} were raised, {rest} are left"
        )
    if rest and left != lot._replace(lot=left.lot, target=left.target):
        raise PropertyViolationError(f"auction {auction_id}: a take made {left} of {lot}")
    if left.lot != (lot.lot - collateral if rest else 0) or collateral > lot.lot or collateral % unit:
        raise PropertyViolationError(f"auction {auction_id}: {lot} became {left} by {collateral}")
    principal = min(paid * RAY, _compute_unraised_principal(lot, top))
    changed = (
        step.read_pre_state("VaultEngine", "ledger.auctions", c).in_auction
        - step.read_post_state("VaultEngine", "ledger.auctions", c).in_auction,
        step.read_post_state("VaultEngine", "ledger.income", c).buffer
        - step.read_pre_state("VaultEngine", "ledger.income", c).buffer,
    )
    if changed != (principal, paid * RAY - principal):
        raise PropertyViolationError(
            f"auction {auction_id}: of {paid} wei, {changed} repaid principal and went to the buffer"
        )


@transition_property(
    38,
    writes=["old_terms"],
    events=[
        "CollateralAuction.AuctionStarted",
        "CollateralAuction.AuctionReset",
        "LiquidationEngine.Liquidated",
    ],
)
def auction_targets_rewards_follow_terms(step: Transition, changes: Changes) -> None:
    """Assert that an auction is to raise its principal and the penalty, and pays rewards within the penalty.

    A part of a vault takes no larger a part of its collateral, and the debt that this part stands for,
    rounded up. A reset starts from the higher of current and next price and adds nothing to the target. Its
    reward is paid from penalty that has come in, and it is refused where the lot can be given up. A stop
    blocks both starts and resets. Auctions keep the terms that they began with.
    """
    for contract, (c, version), old, new in changes.get("old_terms", ()):
        if old.buf or new != step.read_pre_state(contract, "terms", c) or new.version != version:
            raise PropertyViolationError(f"terms {version} of type {c} became {new}")
    for log in step.outcome.logs:
        if log.contract == _AUCTION and log.event == "AuctionStarted" and log.values[6]:
            _check_auction_start_terms(step, log.values)
        elif log.contract == _AUCTION and log.event == "AuctionReset":
            _check_reset(step, *log.values)
        elif log.contract == "LiquidationEngine" and log.event == "Liquidated":
            _, c, owner, collateral, principal, _ = log.values
            old = step.read_pre_state("VaultEngine", "vaults", (c, owner))
            new = step.read_post_state("VaultEngine", "vaults", (c, owner))
            part = old.normalized_debt - new.normalized_debt
            rate = step.read_post_state("VaultEngine", "ledger.debts", c).accumulated_rate
            beyond = old.locked_collateral * part - collateral * old.normalized_debt
            if not 0 <= beyond < old.locked_collateral or principal != part * rate:
                raise PropertyViolationError(f"vault {c, owner}: {collateral} for {principal} of {old}")


def _check_auction_start_terms(step: Transition, started_event_values: Any) -> None:
    auction_id, c, _, _, _, target, principal = started_event_values
    terms = step.read_pre_state(_AUCTION, "terms", c)
    if step.read_post_state(_AUCTION, "lots", auction_id).version != terms.version:
        raise PropertyViolationError(f"auction {auction_id} starts with other terms than {terms}")
    if terms.stop:
        raise PropertyViolationError(f"auction {auction_id} starts though starts are stopped")
    owed = principal * (terms.penalty - BASIS_POINTS)
    penalty = min(owed // (BASIS_POINTS * RAY * _MICRO) * _MICRO, _MOST_PENALTY)
    if target != (-(-principal // RAY) + penalty) * RAY:
        raise PropertyViolationError(
            f"auction {auction_id} is to raise {target} for {principal} at {terms.penalty}"
        )
    budget = step.read_post_state(_AUCTION, "owners", auction_id).reward_budget
    paid = penalty - budget
    if paid != min(terms.tip * _WAD + terms.chip * (target // RAY) // BASIS_POINTS, penalty):
        raise PropertyViolationError(f"auction {auction_id}: a reward of {paid} for {target}")


def _read_lot_terms(step: Transition, lot: Any) -> Any:
    """Return the terms that an auction began with."""
    terms = step.read_pre_state(_AUCTION, "terms", lot.collateral_type)
    if terms.version == lot.version:
        return terms
    return step.read_pre_state(_AUCTION, "old_terms", (lot.collateral_type, lot.version))


def _check_reset(step: Transition, auction_id: int, top: int, reward: int) -> None:
    old, new = (
        step.read_pre_state(_AUCTION, "lots", auction_id),
        step.read_post_state(_AUCTION, "lots", auction_id),
    )
    terms, stop = _read_lot_terms(step, old), step.read_pre_state(_AUCTION, "terms", old.collateral_type).stop
    known = list_known_prices(step, old.collateral_type)
    if stop > 1 or not known:
        raise PropertyViolationError(
            f"auction {auction_id} is reset though resets are stopped, or without a price that counts"
        )
    if top != min(max(known) * terms.buf // BASIS_POINTS, _MOST_PRICE):
        raise PropertyViolationError(f"auction {auction_id} is reset to {top}, at prices of {known}")
    if new != old._replace(started_at=_compute_time_by_blocks_or_timestamp(step)):
        raise PropertyViolationError(f"auction {auction_id}: a reset made {new} of {old}")
    spent = (
        step.read_pre_state(_AUCTION, "owners", auction_id).reward_budget
        - step.read_post_state(_AUCTION, "owners", auction_id).reward_budget
    )
    if reward != spent or spent < 0:
        raise PropertyViolationError(
            f"auction {auction_id}: {reward} were paid for a reset, {spent} of its penalty"
        )
    if reward and step.read_post_state(_AUCTION, "owners", auction_id).reward_budget < old.target:
        raise PropertyViolationError(
            f"auction {auction_id}: {reward} were paid for a reset, of a penalty that is not in"
        )
    was = step.read_pre_state(_AUCTION, "tops", auction_id)
    _check_start_not_in_future(auction_id, old, _compute_time_by_blocks_or_timestamp(step))
    _check_reset_due(
        step, auction_id, old, was.top, _compute_time_by_blocks_or_timestamp(step) - old.started_at
    )
    if _is_indebted_lot_nearly_worthless(step, old, was):
        raise PropertyViolationError(
            f"auction {auction_id} is reset with {_compute_unraised_principal(old, was)} owed and "
            f"a lot of {old.lot}"
        )


def _is_indebted_lot_nearly_worthless(step: Transition, lot: Any, auction_start: Any) -> bool:
    """Return whether a lot owes principal and is worth under a hundredth of the minimum, by all prices."""
    c = lot.collateral_type
    highest = max(*list_known_prices(step, c), compute_time_weighted_price(step, step.read_post_state, c))
    least = _read_lot_terms(step, lot).minimum * RAY * _WAD
    return bool(_compute_unraised_principal(lot, auction_start) and lot.lot * highest * 100 < least)


def _check_start_not_in_future(auction_id: int, lot: Any, now: int) -> None:
    """Check that an auction did not start in the future of the clock."""
    if now < lot.started_at:
        raise PropertyViolationError(
            f"auction {auction_id} started at {lot.started_at}, the clock is at {now}"
        )


def _check_reset_due(step: Transition, auction_id: int, lot: Any, top: int, elapsed: int) -> None:
    """Check that a reset is due so long after the start: the tail is over, or the price under the cusp."""
    terms = _read_lot_terms(step, lot)
    now, off = own.compute_auction_price_with_tolerance(terms.curve, terms.period, terms.cut, top, elapsed)
    if elapsed <= terms.tail and max(0, now - off) * BASIS_POINTS >= top * terms.cusp:
        raise PropertyViolationError(f"auction {auction_id} was reset before it was due")


@transition_property(73, calls=["CollateralAuction.close"])
def auction_closes_only_when_sold_or_worthless(step: Transition, changes: Changes) -> None:
    """Assert that an auction ends with its lot sold, or worth next to nothing at the price of now.

    That is less than a hundredth of the smallest debt and its penalty.
    """
    if not step.is_call(_AUCTION, "close"):
        return
    for log in step.outcome.logs:
        if (log.contract, log.event) == (_AUCTION, "AuctionClosed"):
            auction_id, c, _, lot = log.values
            worth = lot * step.read_post_state("PriceFeed", "prices", c).current
            # As it was when the auction began: it keeps its terms.
            least = _read_lot_terms(step, step.read_pre_state(_AUCTION, "lots", auction_id)).minimum
            if lot and worth * 100 >= least * RAY * _WAD:
                raise PropertyViolationError(f"auction {auction_id} is given up with a lot worth {worth}")


@history_property(
    160,
    events=[f"CollateralAuction.{event}" for event in _BY_THE_CLOCK],
)
class LotPriceFallsOnlyWithBlocks:
    """Where auctions count blocks, only blocks make a lot cheaper, due for a reset, or given up unsold.

    The blocks count from the start or reset that this property has observed, not from the auction's own
    record.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen start or be reset: the block.
        self._since: dict[int, int] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Follow starts and resets by their events, and measure the others by them."""
        slot = step.get_contract(_AUCTION).block_time
        number = step.model.next_block_number
        for log in step.outcome.logs:
            if log.contract != _AUCTION or slot == 0 or log.event not in _BY_THE_CLOCK:
                continue
            auction_id, values = log.values[0], log.values
            if log.event == "AuctionStarted":
                self._since[auction_id] = number
                continue
            since = self._since.get(auction_id)
            if since is not None:
                elapsed = (number - since) * slot
                lot, top = (
                    step.read_pre_state(_AUCTION, "lots", auction_id),
                    step.read_pre_state(_AUCTION, "tops", auction_id).top,
                )
                if log.event == "AuctionReset":
                    # What was taken before in the same call does not change when it is due.
                    _check_reset_due(step, auction_id, lot, top, elapsed)
                elif (
                    log.event == "AuctionClosed" and values[3] and elapsed <= _read_lot_terms(step, lot).tail
                ):
                    raise PropertyViolationError(
                        f"auction {auction_id} is given up {number - since} blocks after its start"
                    )
                elif log.event == "Taken" and lot.target:
                    terms = _read_lot_terms(step, lot)
                    price, off = own.compute_auction_price_with_tolerance(
                        terms.curve, terms.period, terms.cut, top, elapsed
                    )
                    if values[3] * RAY < values[2] * max(0, price - off):
                        raise PropertyViolationError(
                            f"auction {auction_id} is too cheap {number - since} blocks after its start"
                        )
            if log.event == "AuctionReset":
                self._since[auction_id] = number


@history_property(
    39,
    events=[
        f"CollateralAuction.{event}"
        for event in ("AuctionStarted", "Taken", "AuctionClosed", "AuctionUnwound")
    ],
)
class AuctionEndReleasesUnpaidPrincipal:
    """The principal that the end of an auction gives up is its principal less all that was paid for it.

    And an auction starts once and ends once.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen from its start: principal less all payments [rad].
        self._owed: dict[int, int] = {}
        self._last = model.world.contracts[_AUCTION].tables["last_id"][()]

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Follow payments by their events."""
        for log in step.outcome.logs:
            if log.contract != _AUCTION:
                continue
            if log.event == "AuctionStarted":
                auction_id = log.values[0]
                if auction_id in self._owed:
                    raise PropertyViolationError(f"auction {auction_id} starts again")
                if log.values[6]:
                    self._owed[auction_id] = log.values[6]
            elif log.event == "Taken" and log.values[0] in self._owed:
                self._owed[log.values[0]] -= log.values[3] * RAY
            elif log.event in ("AuctionClosed", "AuctionUnwound") and log.values[0] in self._owed:
                given_up = log.values[2] if log.event == "AuctionClosed" else log.values[4]
                owed = max(0, self._owed[log.values[0]])
                self._owed[log.values[0]] = 0
                if given_up != owed:
                    raise PropertyViolationError(
                        f"auction {log.values[0]} gives up {given_up}, and {owed} is owed"
                    )


def _compute_time_by_blocks_or_timestamp(step: Transition) -> int:
    """Return the time by which auctions are measured [seconds]: blocks of a slot each, where they count."""
    slot: int = step.get_contract(_AUCTION).block_time
    return step.model.next_block_number * slot if slot else step.model.timestamp


def _compute_unraised_principal(lot: Any, auction_start: Any) -> int:
    """Return the principal in the amount still to be raised [rad]."""
    return max(0, lot.target * RAY - auction_start.penalty * _MICRO * RAY - auction_start.excess)

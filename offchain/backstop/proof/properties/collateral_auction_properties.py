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
    """Check that a buyer at a collateral auction pays the price curve's price (property 37).

    The payment is rounded up by less than one unit of the token. It exceeds neither the amount still to be
    raised nor the buyer's price limit. The payment repays principal first, and the excess goes to the buffer
    of the collateral type. Once the target is raised, the remaining collateral is returned. Raises
    PropertyViolationError otherwise.
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
    """Check targets, rewards, resets and versions of terms of collateral auctions (property 38).

    An auction has to raise its principal plus the penalty, and pays its rewards out of the penalty. A partial
    liquidation takes the same fraction of collateral and of debt, with the collateral rounded down. A reset
    starts from the higher of current and next price, and leaves the target unchanged. Its reward is paid only
    from penalty already collected. A nearly worthless lot that owes principal cannot be reset. A stop level
    blocks starts and resets. An auction keeps the terms with which it started. Raises PropertyViolationError
    otherwise.
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
    """Return the auction terms that were in force when this lot's auction started."""
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
    """Return whether a lot owes principal and is worth under 1% of the minimum auction size.

    The value is taken at the highest of all known prices, including the time-weighted price.
    """
    c = lot.collateral_type
    highest = max(*list_known_prices(step, c), compute_time_weighted_price(step, step.read_post_state, c))
    least = _read_lot_terms(step, lot).minimum * RAY * _WAD
    return bool(_compute_unraised_principal(lot, auction_start) and lot.lot * highest * 100 < least)


def _check_start_not_in_future(auction_id: int, lot: Any, now: int) -> None:
    """Raise PropertyViolationError if an auction's recorded start lies after the current time."""
    if now < lot.started_at:
        raise PropertyViolationError(
            f"auction {auction_id} started at {lot.started_at}, the clock is at {now}"
        )


def _check_reset_due(step: Transition, auction_id: int, lot: Any, top: int, elapsed: int) -> None:
    """Raise PropertyViolationError if a reset was not due `elapsed` seconds after the start.

    A reset is due once the tail (maximum duration) is over. It is also due once the price is under the cusp,
    a set share of the starting price `top`.
    """
    terms = _read_lot_terms(step, lot)
    now, off = own.compute_auction_price_with_tolerance(terms.curve, terms.period, terms.cut, top, elapsed)
    if elapsed <= terms.tail and max(0, now - off) * BASIS_POINTS >= top * terms.cusp:
        raise PropertyViolationError(f"auction {auction_id} was reset before it was due")


@transition_property(73, calls=["CollateralAuction.close"])
def auction_closes_only_when_sold_or_worthless(step: Transition, changes: Changes) -> None:
    """Check that an auction is closed only if its lot is sold or nearly worthless (property 73).

    Nearly worthless means less than a hundredth of the minimum auction size, valued at the current price. The
    minimum is the smallest allowed debt plus its penalty. Raises PropertyViolationError otherwise.
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
    """Checker of block-counted auctions: only new blocks lower a lot's price (property 160).

    Where auctions count blocks, time without a block neither makes a reset due nor lets an unsold lot be
    given up. The checker counts blocks from the starts and resets that it observed itself.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen start or be reset: the block.
        self._since: dict[int, int] = {}

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Record the block of each auction start and reset, and check the other events against it.

        Raises PropertyViolationError if a sale was too cheap, a reset too early, or an unsold lot given up
        too early.
        """
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
    """Checker that an ended auction releases its principal less all payments (property 39).

    An auction starts once and ends once.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen from its start: principal less all payments [rad].
        self._owed: dict[int, int] = {}
        self._last = model.world.contracts[_AUCTION].tables["last_id"][()]

    def check_step(self, step: Transition, changes: Changes) -> None:
        """Subtract each payment from the auction's principal, and compare the rest when it ends.

        Raises PropertyViolationError if the released principal [rad] differs, or if an auction starts twice.
        """
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
    """Return the clock of auctions [seconds]: blocks times block time, or the block timestamp.

    Blocks are used where the deployment's auctions count blocks.
    """
    slot: int = step.get_contract(_AUCTION).block_time
    return step.model.next_block_number * slot if slot else step.model.timestamp


def _compute_unraised_principal(lot: Any, auction_start: Any) -> int:
    """Return the principal that an auction still has to raise [rad], without the penalty."""
    return max(0, lot.target * RAY - auction_start.penalty * _MICRO * RAY - auction_start.excess)

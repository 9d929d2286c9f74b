"""Properties of auctions of collateral: their start, what a take costs, and what an end gives up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.proof.properties.figures import arithmetic as own
from backstop.proof.properties.figures.arithmetic import BASIS_POINTS, RAY
from backstop.proof.properties.figures.prices import known_prices, time_weighted
from backstop.proof.properties.registry import Violation, history_property, transition_property
from backstop.proof.properties.transition import Changes, Transition

if TYPE_CHECKING:
    from backstop.hosts.model_system import ModelSystem

_AUCTION = "CollateralAuction"
_WAD, _MICRO = 10**18, 10**12
_BY_THE_CLOCK = ("AuctionStarted", "AuctionReset", "Taken", "AuctionClosed")
_MOST_PENALTY, _MOST_PRICE = (2**48 - 1) * _MICRO, 2**112 - 1


@transition_property(37, calls=["CollateralAuction.take"])
def a_take_costs_its_price(step: Transition, changes: Changes) -> None:
    """Assert that a taker pays the curve's price for what it gets, rounded up, and never above the target.

    By less than a unit of the token, and what is paid for what is got stays within the price that was named.
    What is paid repays principal first, the rest goes to the buffer; what is left of a lot whose target is
    raised goes back.
    """
    if not step.calls(_AUCTION, "take"):
        return
    id, now = step.action.args[0], _clock(step)
    lot, top = step.before(_AUCTION, "lots", id), step.before(_AUCTION, "tops", id)
    c = lot.collateral_type
    terms = _terms_of(step, lot)
    _check_not_ahead(id, lot, now)
    price, off = own.fallen(terms.curve, terms.period, terms.cut, top.top, now - lot.started_at)
    taken = [log for log in step.outcome.logs if (log.contract, log.event) == (_AUCTION, "Taken")]
    if len(taken) != 1 or now - lot.started_at > terms.tail:
        return  # takes inside a take are looked at by what they leave
    _, _, collateral, paid, rest = taken[0].values
    unit = 10 ** (18 - terms.decimals)
    enough = paid * RAY >= collateral * max(0, price - off)
    if not enough or paid * RAY >= (collateral + unit) * (price + off) + RAY:
        raise Violation(f"auction {id}: {paid} for {collateral} at a price of {price}")
    if (paid - 1) * RAY >= (collateral + 1) * step.action.args[2]:
        raise Violation(f"auction {id}: {paid} for {collateral}, at {step.action.args[2]} at most")
    left = step.after(_AUCTION, "lots", id)
    if paid > lot.target or rest != (lot.target - paid) * RAY or left.target * RAY != rest:
        raise Violation(f"auction {id}: {paid} of {lot.target} were raised, {rest} are left")
    if rest and left != lot._replace(lot=left.lot, target=left.target):
        raise Violation(f"auction {id}: a take made {left} of {lot}")
    if left.lot != (lot.lot - collateral if rest else 0) or collateral > lot.lot or collateral % unit:
        raise Violation(f"auction {id}: {lot} became {left} by {collateral}")
    principal = min(paid * RAY, _principal(lot, top))
    changed = (
        step.before("VaultEngine", "ledger.auctions", c).in_auction
        - step.after("VaultEngine", "ledger.auctions", c).in_auction,
        step.after("VaultEngine", "ledger.income", c).buffer
        - step.before("VaultEngine", "ledger.income", c).buffer,
    )
    if changed != (principal, paid * RAY - principal):
        raise Violation(f"auction {id}: of {paid} wei, {changed} repaid principal and went to the buffer")


@transition_property(
    38,
    writes=["old_terms"],
    events=[
        "CollateralAuction.AuctionStarted",
        "CollateralAuction.AuctionReset",
        "LiquidationEngine.Liquidated",
    ],
)
def auctions_start_by_their_terms(step: Transition, changes: Changes) -> None:
    """Assert that an auction is to raise its principal and the penalty, and pays rewards within the penalty.

    A part of a vault takes no larger a part of its collateral, and as much debt with it as that stood for,
    rounded up. A reset starts from the higher of current and next price, adds nothing to what is to be
    raised, is paid for by penalty that has come in, and is refused where the lot can be given up. A stop
    stops either. Terms that change stay as they were for auctions that began with them.
    """
    for contract, (c, version), old, new in changes.get("old_terms", ()):
        if old.buf or new != step.before(contract, "terms", c) or new.version != version:
            raise Violation(f"terms {version} of type {c} became {new}")
    for log in step.outcome.logs:
        if log.contract == _AUCTION and log.event == "AuctionStarted" and log.values[6]:
            _check_start(step, log.values)
        elif log.contract == _AUCTION and log.event == "AuctionReset":
            _check_reset(step, *log.values)
        elif log.contract == "LiquidationEngine" and log.event == "Liquidated":
            _, c, owner, collateral, principal, _ = log.values
            old = step.before("VaultEngine", "vaults", (c, owner))
            new = step.after("VaultEngine", "vaults", (c, owner))
            part = old.normalized_debt - new.normalized_debt
            rate = step.after("VaultEngine", "ledger.debts", c).accumulated_rate
            beyond = old.locked_collateral * part - collateral * old.normalized_debt
            if not 0 <= beyond < old.locked_collateral or principal != part * rate:
                raise Violation(f"vault {c, owner}: {collateral} for {principal} of {old}")


def _check_start(step: Transition, values: Any) -> None:
    id, c, _, _, _, target, principal = values
    terms = step.before(_AUCTION, "terms", c)
    if step.after(_AUCTION, "lots", id).version != terms.version:
        raise Violation(f"auction {id} starts with other terms than {terms}")
    if terms.stop:
        raise Violation(f"auction {id} starts though starts are stopped")
    owed = principal * (terms.penalty - BASIS_POINTS)
    penalty = min(owed // (BASIS_POINTS * RAY * _MICRO) * _MICRO, _MOST_PENALTY)
    if target != (-(-principal // RAY) + penalty) * RAY:
        raise Violation(f"auction {id} is to raise {target} for {principal} at {terms.penalty}")
    budget = step.after(_AUCTION, "owners", id).reward_budget
    paid = penalty - budget
    if paid != min(terms.tip * _WAD + terms.chip * (target // RAY) // BASIS_POINTS, penalty):
        raise Violation(f"auction {id}: a reward of {paid} for {target}")


def _terms_of(step: Transition, lot: Any) -> Any:
    """Return the terms that an auction began with."""
    terms = step.before(_AUCTION, "terms", lot.collateral_type)
    if terms.version == lot.version:
        return terms
    return step.before(_AUCTION, "old_terms", (lot.collateral_type, lot.version))


def _check_reset(step: Transition, id: int, top: int, reward: int) -> None:
    old, new = step.before(_AUCTION, "lots", id), step.after(_AUCTION, "lots", id)
    terms, stop = _terms_of(step, old), step.before(_AUCTION, "terms", old.collateral_type).stop
    known = known_prices(step, old.collateral_type)
    if stop > 1 or not known:
        raise Violation(f"auction {id} is reset though resets are stopped, or without a price that counts")
    if top != min(max(known) * terms.buf // BASIS_POINTS, _MOST_PRICE):
        raise Violation(f"auction {id} is reset to {top}, at prices of {known}")
    if new != old._replace(started_at=_clock(step)):
        raise Violation(f"auction {id}: a reset made {new} of {old}")
    spent = (
        step.before(_AUCTION, "owners", id).reward_budget - step.after(_AUCTION, "owners", id).reward_budget
    )
    if reward != spent or spent < 0:
        raise Violation(f"auction {id}: {reward} were paid for a reset, {spent} of its penalty")
    if reward and step.after(_AUCTION, "owners", id).reward_budget < old.target:
        raise Violation(f"auction {id}: {reward} were paid for a reset, of a penalty that is not in")
    was = step.before(_AUCTION, "tops", id)
    _check_not_ahead(id, old, _clock(step))
    _check_due(step, id, old, was.top, _clock(step) - old.started_at)
    if _can_be_given_up(step, old, was):
        raise Violation(f"auction {id} is reset with {_principal(old, was)} owed and a lot of {old.lot}")


def _can_be_given_up(step: Transition, lot: Any, top: Any) -> bool:
    """Return whether a lot owes principal and is worth under a hundredth of the minimum, by all prices."""
    c = lot.collateral_type
    highest = max(*known_prices(step, c), time_weighted(step, step.after, c))
    least = _terms_of(step, lot).minimum * RAY * _WAD
    return bool(_principal(lot, top) and lot.lot * highest * 100 < least)


def _check_not_ahead(id: int, lot: Any, now: int) -> None:
    """Check that an auction did not start in the future of the clock."""
    if now < lot.started_at:
        raise Violation(f"auction {id} started at {lot.started_at}, the clock is at {now}")


def _check_due(step: Transition, id: int, lot: Any, top: int, elapsed: int) -> None:
    """Check that a reset is due so long after the start: the tail is over, or the price under the cusp."""
    terms = _terms_of(step, lot)
    now, off = own.fallen(terms.curve, terms.period, terms.cut, top, elapsed)
    if elapsed <= terms.tail and max(0, now - off) * BASIS_POINTS >= top * terms.cusp:
        raise Violation(f"auction {id} was reset before it was due")


@transition_property(73, calls=["CollateralAuction.close"])
def only_what_a_lot_cannot_bring_is_given_up(step: Transition, changes: Changes) -> None:
    """Assert that an auction ends with its lot sold, or worth next to nothing at the price of now.

    That is less than a hundredth of the smallest debt and its penalty.
    """
    if not step.calls(_AUCTION, "close"):
        return
    for log in step.outcome.logs:
        if (log.contract, log.event) == (_AUCTION, "AuctionClosed"):
            id, c, _, lot = log.values
            worth = lot * step.after("PriceFeed", "prices", c).current
            # As it was when the auction began: it keeps its terms.
            least = _terms_of(step, step.before(_AUCTION, "lots", id)).minimum
            if lot and worth * 100 >= least * RAY * _WAD:
                raise Violation(f"auction {id} is given up with a lot worth {worth}")


@history_property(
    160,
    events=[f"CollateralAuction.{event}" for event in _BY_THE_CLOCK],
)
class PricesFallWithBlocks:
    """Where auctions count blocks, only blocks make a lot cheaper, due for a reset, or given up unsold.

    The blocks are those since this saw the auction start or be reset, whatever its record says.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen start or be reset: the block.
        self._since: dict[int, int] = {}

    def see(self, step: Transition, changes: Changes) -> None:
        """Follow starts and resets by their events, and measure the others by them."""
        slot = step.contract(_AUCTION).block_time
        number = step.model.block_number
        for log in step.outcome.logs:
            if log.contract != _AUCTION or slot == 0 or log.event not in _BY_THE_CLOCK:
                continue
            id, values = log.values[0], log.values
            if log.event == "AuctionStarted":
                self._since[id] = number
                continue
            since = self._since.get(id)
            if since is not None:
                elapsed = (number - since) * slot
                lot, top = step.before(_AUCTION, "lots", id), step.before(_AUCTION, "tops", id).top
                if log.event == "AuctionReset":
                    # What was taken before in the same call does not change when it is due.
                    _check_due(step, id, lot, top, elapsed)
                elif log.event == "AuctionClosed" and values[3] and elapsed <= _terms_of(step, lot).tail:
                    raise Violation(f"auction {id} is given up {number - since} blocks after its start")
                elif log.event == "Taken" and lot.target:
                    terms = _terms_of(step, lot)
                    price, off = own.fallen(terms.curve, terms.period, terms.cut, top, elapsed)
                    if values[3] * RAY < values[2] * max(0, price - off):
                        raise Violation(f"auction {id} is too cheap {number - since} blocks after its start")
            if log.event == "AuctionReset":
                self._since[id] = number


@history_property(
    39,
    events=[
        f"CollateralAuction.{event}"
        for event in ("AuctionStarted", "Taken", "AuctionClosed", "AuctionUnwound")
    ],
)
class AnEndGivesUpWhatIsOwed:
    """What an auction of a vault gives up is its principal less all that was paid for it.

    And an auction starts once and ends once.
    """

    def __init__(self, model: ModelSystem) -> None:
        # Of each auction that this has seen from its start: principal less all payments [rad].
        self._owed: dict[int, int] = {}
        self._last = model.world.contracts[_AUCTION].tables["last_id"][()]

    def see(self, step: Transition, changes: Changes) -> None:
        """Follow payments by their events."""
        for log in step.outcome.logs:
            if log.contract != _AUCTION:
                continue
            if log.event == "AuctionStarted":
                id = log.values[0]
                if id in self._owed:
                    raise Violation(f"auction {id} starts again")
                if log.values[6]:
                    self._owed[id] = log.values[6]
            elif log.event == "Taken" and log.values[0] in self._owed:
                self._owed[log.values[0]] -= log.values[3] * RAY
            elif log.event in ("AuctionClosed", "AuctionUnwound") and log.values[0] in self._owed:
                given_up = log.values[2] if log.event == "AuctionClosed" else log.values[4]
                owed = max(0, self._owed[log.values[0]])
                self._owed[log.values[0]] = 0
                if given_up != owed:
                    raise Violation(f"auction {log.values[0]} gives up {given_up}, and {owed} is owed")


def _clock(step: Transition) -> int:
    """Return the time by which auctions are measured [seconds]: blocks of a slot each, where they count."""
    slot: int = step.contract(_AUCTION).block_time
    return step.model.block_number * slot if slot else step.model.timestamp


def _principal(lot: Any, top: Any) -> int:
    """Return the principal in what is still to be raised [rad]."""
    return max(0, lot.target * RAY - top.penalty * _MICRO * RAY - top.excess)

"""One double-entry balance sheet: the records of the vault engine and every posting to it.

After each call, in rad and exactly:

    supply*RAY + reserve + sum of buffers == sum of (performing + in_auction + deficit) + settled
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, div_up, mul, rpow
from backstop.model.roles import Administered
from backstop.model.state import World, require, slot

if TYPE_CHECKING:
    from backstop.model.loss_waterfall import LossWaterfall
    from backstop.model.stablecoin import Stablecoin

MAX_TYPE_DEBT = 2**181 - 1
MAX_RATE = 2**104 - 1
MAX_ACCRUAL = 365 * 86_400
NO_CEILING = 2**33 - 1
"""What the global debt ceiling reads once settlement has begun."""


DISTRESSED = 1
"""in_auction + deficit > 0."""
SURCHARGED = 2
"""A redistribution of this epoch may be charged on draws."""


@slot(104, 104, 32, 2, 14)
class Debts(NamedTuple):
    """What a collateral type owes."""

    normalized_debt: int = 0  # wad
    accumulated_rate: int = 0  # ray
    accrued_at: int = 0  # seconds
    distressed: int = 0  # bits of DISTRESSED and SURCHARGED
    buffer_share: int = 0  # basis points of fees

    @property
    def performing(self) -> int:
        """Rad."""
        return mul(self.normalized_debt, self.accumulated_rate)


@slot(104, 32, 14)
class Redistribution(NamedTuple):
    """What a type's borrowers bore in an epoch."""

    added: int = 0  # ray that the accumulated rate took on
    ends: int = 0  # seconds, when that epoch ends
    cap: int = 0  # basis points of the rate for each epoch


@slot(188, 66)
class Income(NamedTuple):
    """What a collateral type earns."""

    buffer: int = 0  # rad
    stability_fee: int = 0  # ray a second above RAY


@slot(188, 33)
class Auctions(NamedTuple):
    """Principal under auction and its limit."""

    in_auction: int = 0  # rad
    limit: int = 0  # whole stablecoins


@slot(186, 37, 33)
class Balance(NamedTuple):
    """The figures of the whole system."""

    reserve: int = 0  # rad
    buffers: int = 0  # sum of ceil(buffer), whole stablecoins
    global_debt_ceiling: int = 0  # whole stablecoins; NO_CEILING once settlement has begun


class Ledger(Administered):
    """The storage of the balance sheet and its postings. See contracts/modules/ledger.vy."""

    def __init__(
        self, world: World, name: str, address: str, stablecoin: str, loss_waterfall: str, admin: str
    ) -> None:
        super().__init__(world, name, address, admin)
        self.stablecoin_address = stablecoin
        self.loss_waterfall_address = loss_waterfall
        self.debts = self.table("ledger.debts", Debts())
        self.income = self.table("ledger.income", Income())
        self.auctions = self.table("ledger.auctions", Auctions())
        self.deficit = self.table("ledger.deficit")
        self.redistributions = self.table("ledger.redistributions", Redistribution())
        self.salvage = self.table("ledger.salvage")
        self.system = self.table("ledger.system", Balance())
        self.settled_debt = self.table("ledger.settled")

    @property
    def stablecoin(self) -> Stablecoin:
        return cast("Stablecoin", self.world.at(self.stablecoin_address))

    @property
    def loss_waterfall(self) -> LossWaterfall:
        return cast("LossWaterfall", self.world.at(self.loss_waterfall_address))

    # ---------------------------------------------------------------- postings

    def _post_accrual(self, collateral_type: int) -> Debts:
        """performing +x, buffer +floor(x*share), reserve +rest; the caller stores the returned record.

        x = normalized_debt*(rate' - rate), rate' = floor(rpow(RAY + fee, elapsed)*rate/RAY), capped.
        """
        debts: Debts = self.debts[collateral_type]
        elapsed = min(self.world.timestamp - debts.accrued_at, MAX_ACCRUAL)
        if elapsed == 0:
            return debts
        debts = debts._replace(accrued_at=debts.accrued_at + elapsed)
        income: Income = self.income[collateral_type]
        if income.stability_fee == 0:
            return debts

        highest = MAX_RATE
        if debts.normalized_debt != 0:
            highest = min(highest, MAX_TYPE_DEBT // debts.normalized_debt)
        rate = rpow(RAY + income.stability_fee, elapsed) * debts.accumulated_rate // RAY
        rate = max(min(rate, highest), debts.accumulated_rate)
        earned = debts.normalized_debt * (rate - debts.accumulated_rate)
        debts = debts._replace(accumulated_rate=rate)
        if earned == 0:
            return debts

        to_buffer = earned * debts.buffer_share // BASIS_POINTS
        self.income[collateral_type] = income._replace(buffer=income.buffer + to_buffer)
        balance: Balance = self.system[()]
        self.system[()] = balance._replace(
            reserve=balance.reserve + earned - to_buffer,
            buffers=balance.buffers + _whole_coins(income.buffer, income.buffer + to_buffer),
        )
        return debts

    def _post_to_reserve(self, amount: int) -> None:
        """reserve +amount."""
        if amount != 0:
            balance: Balance = self.system[()]
            self.system[()] = balance._replace(reserve=balance.reserve + amount)

    def _post_to_buffer(self, collateral_type: int, amount: int) -> None:
        """buffer +amount."""
        if amount != 0:
            income: Income = self.income[collateral_type]
            self.income[collateral_type] = income._replace(buffer=income.buffer + amount)
            coins = _whole_coins(income.buffer, income.buffer + amount)
            if coins != 0:
                self._count_buffers(coins)

    def _post_liquidation(self, collateral_type: int, principal: int) -> None:
        """performing -> in_auction; the caller takes the normalized debt away and sets `distressed`."""
        self._count_auctions(collateral_type, principal)

    def _post_repaid_principal(self, collateral_type: int, principal: int) -> None:
        """in_auction -principal, against stablecoin burned by the caller."""
        if principal != 0:
            self._count_auctions(collateral_type, -principal)
            self._settle_distress(collateral_type)

    def _post_write_off(self, collateral_type: int, principal: int) -> None:
        """in_auction -> deficit."""
        if principal != 0:
            self._count_auctions(collateral_type, -principal)
            self._post_deficit(collateral_type, principal)

    def _post_reward(self, collateral_type: int, receiver: str, amount: int) -> None:
        """supply +amount, reserve -min(reserve, amount), the rest -> deficit."""
        if amount != 0:
            owed = mul(amount, RAY)
            balance: Balance = self.system[()]
            paid = min(balance.reserve, owed)
            self.system[()] = balance._replace(reserve=balance.reserve - paid)
            if paid != owed:
                self._post_deficit(collateral_type, owed - paid)
            self.stablecoin.mint(self.address, receiver, amount)

    def _post_deficit(self, collateral_type: int, amount: int) -> None:
        """deficit +amount (above 0), recognised by the waterfall as part of the epoch's event."""
        self.deficit[collateral_type] = self.deficit[collateral_type] + amount
        self.debts[collateral_type] = _flag(self.debts[collateral_type], DISTRESSED)
        self.loss_waterfall.recognise(self.address, collateral_type, amount)

    def _post_cover(self, collateral_type: int, amount: int) -> None:
        """deficit -amount, against what the caller takes from a stage."""
        deficit = self.deficit[collateral_type]
        require(amount <= deficit, "ledger: cover above deficit")
        self.deficit[collateral_type] = deficit - amount
        self._settle_distress(collateral_type)

    def _post_from_buffer(self, collateral_type: int, amount: int) -> None:
        """buffer -amount."""
        income: Income = self.income[collateral_type]
        require(amount <= income.buffer, "ledger: buffer too small")
        self.income[collateral_type] = income._replace(buffer=income.buffer - amount)
        self._count_buffers(_whole_coins(income.buffer, income.buffer - amount))

    def _post_from_reserve(self, amount: int) -> None:
        """reserve -amount."""
        balance: Balance = self.system[()]
        require(amount <= balance.reserve, "ledger: reserve too small")
        self.system[()] = balance._replace(reserve=balance.reserve - amount)

    def _post_redistribution(self, collateral_type: int, amount: int, ratio: int, least_ratio: int) -> int:
        """rate +k, k = floor(amount/normalized_debt) as far as there is room; rad covered."""
        debts = self._post_accrual(collateral_type)
        if debts.normalized_debt == 0:
            return 0
        present = self._redistribution(collateral_type)
        added = min(amount // debts.normalized_debt, rate_room(debts, present, ratio, least_ratio))
        if added != 0:
            debts = _flag(debts._replace(accumulated_rate=debts.accumulated_rate + added), SURCHARGED)
            length = self.loss_waterfall.EPOCH_LENGTH(self.address)
            self.redistributions[collateral_type] = present._replace(
                added=present.added + added, ends=(self.world.timestamp // length + 1) * length
            )
        self.debts[collateral_type] = debts
        covered = added * debts.normalized_debt
        if covered != 0:
            self._post_cover(collateral_type, covered)
        return covered

    # -------------------------------------------------- postings of settlement

    def _post_unwound(self, collateral_type: int, principal: int) -> int:
        """in_auction -principal, performing +d*rate, reserve + the rounding; d, rounded up, is returned."""
        debts: Debts = self.debts[collateral_type]
        normalized_debt = div_up(principal, debts.accumulated_rate)
        self.debts[collateral_type] = debts._replace(normalized_debt=debts.normalized_debt + normalized_debt)
        self._post_to_reserve(normalized_debt * debts.accumulated_rate - principal)
        self._post_repaid_principal(collateral_type, principal)
        return normalized_debt

    def _post_settled(self, collateral_type: int, debt: int, worth: int) -> None:
        """performing -debt (the caller takes it away), settled +worth, the rest -> deficit."""
        self.settled_debt[()] = self.settled_debt[()] + worth
        if debt != worth:
            self._post_deficit(collateral_type, debt - worth)

    def _post_netted(self, types: int) -> int:
        """settled +deficits -buffers -reserve, which is supply*RAY by the balance; the supply, wad."""
        settled = int(self.settled_debt[()])
        for c in range(types):
            settled += int(self.deficit[c] - self.income[c].buffer)
            self.deficit[c] = 0
            self.income[c] = Income()
            self._settle_distress(c)
        settled -= int(self.system[()].reserve)
        self.settled_debt[()] = settled
        self.system[()] = Balance(global_debt_ceiling=NO_CEILING)
        return settled // RAY

    # ----------------------------------------------------------------- helpers

    def _settling(self) -> bool:
        """Whether settlement has begun."""
        return bool(self.system[()].global_debt_ceiling == NO_CEILING)

    def _redistribution(self, collateral_type: int) -> Redistribution:
        """What an epoch that is over has added does not count any more."""
        found: Redistribution = self.redistributions[collateral_type]
        return found._replace(added=0) if self.world.timestamp >= found.ends else found

    def _distress(self, collateral_type: int) -> int:
        """in_auction + deficit, rad."""
        return int(self.auctions[collateral_type].in_auction + self.deficit[collateral_type])

    def _settle_distress(self, collateral_type: int) -> None:
        """Clear `distressed` once nothing of the type is under auction or uncovered."""
        if self._distress(collateral_type) == 0:
            debts: Debts = self.debts[collateral_type]
            self.debts[collateral_type] = debts._replace(distressed=debts.distressed & ~DISTRESSED)

    def _count_auctions(self, collateral_type: int, change: int) -> None:
        one: Auctions = self.auctions[collateral_type]
        self.auctions[collateral_type] = one._replace(in_auction=one.in_auction + change)

    def _count_buffers(self, coins: int) -> None:
        balance: Balance = self.system[()]
        self.system[()] = balance._replace(buffers=balance.buffers + coins)


def _flag(debts: Debts, flag: int) -> Debts:
    return debts._replace(distressed=debts.distressed | flag)


def rate_room(debts: Debts, present: Redistribution, ratio: int, least_ratio: int) -> int:
    """How far redistribution may still raise the rate in this epoch, ray, rounded down.

    By its cap, by the gap between both ratios, and by what the fields can hold.
    """
    before = debts.accumulated_rate - present.added
    most = min(before * present.cap // BASIS_POINTS, before * (ratio - least_ratio) // least_ratio)
    highest = min(MAX_RATE, MAX_TYPE_DEBT // debts.normalized_debt)
    return min(max(0, most - present.added), max(0, highest - debts.accumulated_rate))


def _whole_coins(before: int, after: int) -> int:
    """ceil(after) - ceil(before) in whole stablecoins."""
    return div_up(after, RAD) - div_up(before, RAD)

"""One double-entry balance sheet: the records of the vault engine and every posting to it.

After each call, in rad and exactly:

    supply*RAY + reserve + sum of buffers == sum of (performing + in_auction + deficit) + settled
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.contract_base import World, declare_record_slot_bit_widths, immutable, require, view
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, add_uint256, div_up, mul_uint256, rpow, sub
from backstop.model.interfaces import Debts, ILossWaterfall, IStablecoin, Redistribution
from backstop.model.listed_types import decode_listed_types
from backstop.model.roles import Administered

MAX_TYPE_DEBT = 2**181 - 1


MAX_RATE = 2**104 - 1


YEAR = 365 * 86_400
"""The longest power that fits: longer stretches are charged in years of this."""


NO_CEILING = 2**33 - 1
"""Value of the global debt ceiling once settlement has begun."""


DISTRESSED = 1
"""in_auction + deficit > 0."""


SURCHARGED = 2
"""A redistribution of this epoch or the one before may be charged on draws."""


@declare_record_slot_bit_widths(188, 66)
class Income(NamedTuple):
    """First-loss buffer of a collateral type [rad], and its stability fee [ray a second above RAY]."""

    buffer: int = 0  # rad
    stability_fee: int = 0  # ray a second above RAY


@declare_record_slot_bit_widths(188, 32, 33, 1)
class Auctions(NamedTuple):
    """Principal of a collateral type that is under auction [rad], and its limits [whole stablecoins]."""

    in_auction: int = 0  # rad
    limit: int = 0  # whole stablecoins
    of_all: int = 0  # whole stablecoins: the limit of all types, the same in each type that is listed
    has_mechanism: int = 0  # 1 if a liquidation mechanism sells its vaults, and none is auctioned


@declare_record_slot_bit_widths(186, 37, 33)
class Balance(NamedTuple):
    """Totals of the system: reserve [rad], all buffers and the debt ceiling [whole stablecoins]."""

    reserve: int = 0  # rad
    buffers: int = 0  # sum of ceil(buffer), whole stablecoins
    global_debt_ceiling: int = 0  # whole stablecoins; NO_CEILING once settlement has begun


class Ledger(Administered):
    """Double-entry balance sheet of the vault engine: its records and all postings to them.

    Model of contracts/modules/ledger.vy.
    """

    # The debt token.
    stablecoin_address = immutable("STABLECOIN", str)
    # Where deficits are recognised.
    loss_waterfall_address = immutable("LOSS_WATERFALL", str)

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
    def stablecoin(self) -> IStablecoin:
        return cast(IStablecoin, self.world.at(self.stablecoin_address))

    @property
    def loss_waterfall(self) -> ILossWaterfall:
        return cast(ILossWaterfall, self.world.at(self.loss_waterfall_address))

    # ------------------------------------------------------------------- views

    @view
    def debts_of(self, sender: str, collateral_type: int) -> Debts:
        """Return a collateral type's normalized debt, accumulated rate at the last accrual, and fee share."""
        debts: Debts = self.debts[collateral_type]
        return debts

    @view
    def stability_fee_of(self, sender: str, collateral_type: int) -> int:
        """Return a collateral type's stability fee per second above RAY [ray]."""
        return self._get_stored_stability_fee(collateral_type)

    @view
    def buffer_of(self, sender: str, collateral_type: int) -> int:
        """Return a collateral type's first-loss buffer [rad]."""
        return int(self.income[collateral_type].buffer)

    @view
    def in_auction_of(self, sender: str, collateral_type: int) -> int:
        """Return a collateral type's principal under auction [rad]."""
        return int(self.auctions[collateral_type].in_auction)

    @view
    def auction_limit_of(self, sender: str, collateral_type: int) -> int:
        """Return the most principal of a collateral type that may be under auction [whole stablecoins]."""
        return int(self.auctions[collateral_type].limit)

    @view
    def deficit_of(self, sender: str, collateral_type: int) -> int:
        """Return a collateral type's deficit: recognised loss that no source has covered yet [rad]."""
        return int(self.deficit[collateral_type])

    @view
    def salvage_of(self, sender: str, collateral_type: int) -> int:
        """Return a type's collateral left over from closed auctions, or taken by settlement [wad]."""
        return int(self.salvage[collateral_type])

    @view
    def redistribution_of(self, sender: str, collateral_type: int) -> Redistribution:
        """Return the rate increases by which a type's borrowers bore losses, and their cap.

        The increases [ray] are those of the present epoch and the one before. The cap is in basis points.
        """
        return self._compute_current_redistribution(collateral_type)

    @view
    def reserve(self, sender: str) -> int:
        """Return the reserve, the insurance fund for all collateral types [rad]."""
        return int(self.system[()].reserve)

    @view
    def settled(self, sender: str) -> int:
        """Return the debt that settlement has settled [rad].

        Once settlement has closed the books, this is the debt owed to the stablecoin's holders.
        """
        return int(self.settled_debt[()])

    @view
    def in_settlement(self, sender: str) -> bool:
        """Return True if settlement (the final shutdown of the protocol) has begun."""
        return self._is_settling()

    # -------------------------------------------------------------- parameters

    def _open_type(self, collateral_type: int) -> None:
        """Create a new type's debt record, with no debt and an accumulated rate of one (RAY)."""
        self.debts[collateral_type] = Debts(accumulated_rate=RAY, accrued_at=self.world.timestamp)

    def _get_stored_stability_fee(self, collateral_type: int) -> int:
        return int(self.income[collateral_type].stability_fee)

    def _store_stability_fee(self, collateral_type: int, new: int) -> None:
        """Store the stability fee [ray a second above RAY]; the caller has accrued the old fee."""
        self.income[collateral_type] = self.income[collateral_type]._replace(stability_fee=new)

    def _set_buffer_share(self, collateral_type: int, new: int) -> None:
        """Set the share of fees that fills the buffer [basis points]; fees up to now keep the old share."""
        self.debts[collateral_type] = self._post_accrual(collateral_type)._replace(buffer_share=new)

    def _store_auction_limit(self, collateral_type: int, new: int) -> None:
        """Store the most principal of a collateral type that may be under auction [whole stablecoins]."""
        self.auctions[collateral_type] = self.auctions[collateral_type]._replace(limit=new)

    def _note_global_auction_limit(self, collateral_type: int, new: int) -> None:
        """Copy the auction limit of all types [whole stablecoins] into a type's record."""
        self.auctions[collateral_type] = self.auctions[collateral_type]._replace(of_all=new)

    def _note_mechanism(self, collateral_type: int) -> None:
        """Record permanently that a liquidation mechanism sells the type's vaults, not an auction."""
        self.auctions[collateral_type] = self.auctions[collateral_type]._replace(has_mechanism=1)

    def _get_mechanism_flag(self, collateral_type: int) -> int:
        """Return 1 if a liquidation mechanism sells the type's vaults, else 0."""
        return int(self.auctions[collateral_type].has_mechanism)

    def _store_redistribution_cap(self, collateral_type: int, new: int) -> None:
        """Store the limit on rate increases by redistribution within an epoch's length [basis points]."""
        found = self._compute_current_redistribution(collateral_type)
        self.redistributions[collateral_type] = found._replace(cap=new)

    def _store_global_debt_ceiling(self, new: int) -> None:
        """Store the debt ceiling of all types [whole stablecoins].

        The value NO_CEILING begins settlement permanently.
        """
        self.system[()] = self.system[()]._replace(global_debt_ceiling=new)

    # ---------------------------------------------------------------- postings

    def _post_accrual(self, collateral_type: int) -> Debts:
        """Charge a type's stability fee up to now, and return its new debt record.

        The caller must store the record. With x = normalized_debt*(rate' - rate): performing debt +x, buffer
        +floor(x*share), reserve +rest. The new rate is rate' = floor(rpow(RAY + fee, elapsed)*rate/RAY),
        computed year by year and then for the rest, and limited to the storage field. All time up to now is
        charged, so no vault pays for time before its debt.
        """
        debts: Debts = self.debts[collateral_type]
        elapsed = self.world.timestamp - debts.accrued_at
        if elapsed == 0:
            return debts
        debts = debts._replace(accrued_at=self.world.timestamp)
        income: Income = self.income[collateral_type]
        if income.stability_fee == 0:
            return debts

        highest = MAX_RATE
        if debts.normalized_debt != 0:
            highest = min(highest, MAX_TYPE_DEBT // debts.normalized_debt)
        rate, base = debts.accumulated_rate, RAY + income.stability_fee
        if elapsed > YEAR:
            for _ in range(elapsed // YEAR):
                rate = min(rpow(base, YEAR) * rate // RAY, MAX_RATE)
            elapsed %= YEAR
        rate = rpow(base, elapsed) * rate // RAY
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
            buffers=balance.buffers
            + _compute_difference_in_whole_coins(income.buffer, income.buffer + to_buffer),
        )
        return debts

    def _accrue_fees(self, collateral_type: int) -> Debts:
        """Charge a type's stability fee up to now, and return its stored debt record."""
        debts = self._post_accrual(collateral_type)
        self.debts[collateral_type] = debts
        return debts

    def _post_draw(self, receiver: str, amount: int, dust: int) -> None:
        """Mint stablecoin [wad] for new debt, and add the rounding (`dust`) to the reserve [rad].

        The caller adds the debt to the performing debt. Reverts above the global debt ceiling. By the
        balance, all debt is supply*RAY + reserve + buffers (rounded up).
        """
        supply = self.stablecoin.mint(self.address, receiver, amount)
        balance: Balance = self.system[()]
        self.system[()] = balance = balance._replace(reserve=balance.reserve + dust)
        everything = supply * RAY + balance.reserve + balance.buffers * RAD
        require(everything <= balance.global_debt_ceiling * RAD, "ledger: over the ceiling")

    def _add_to_reserve(self, amount: int) -> None:
        """Add an amount to the reserve [rad]."""
        if amount != 0:
            balance: Balance = self.system[()]
            self.system[()] = balance._replace(reserve=balance.reserve + amount)

    def _post_to_buffer(self, collateral_type: int, amount: int) -> None:
        """Add an amount to a collateral type's first-loss buffer [rad]."""
        if amount != 0:
            income: Income = self.income[collateral_type]
            self.income[collateral_type] = income._replace(buffer=income.buffer + amount)
            coins = _compute_difference_in_whole_coins(income.buffer, income.buffer + amount)
            if coins != 0:
                self._change_buffers_total(coins)

    def _post_liquidation(self, collateral_type: int, normalized_debt: int) -> Debts:
        """Move normalized debt from performing debt to principal under auction, and return the new record.

        The principal is the normalized debt times the accumulated rate.
        """
        debts: Debts = self.debts[collateral_type]
        debts = debts._replace(normalized_debt=sub(debts.normalized_debt, normalized_debt))
        if normalized_debt != 0:
            debts = _set_distress_flag_in_debt_record(debts, DISTRESSED)
        self.debts[collateral_type] = debts
        self._change_principal_in_auction(
            collateral_type, mul_uint256(normalized_debt, debts.accumulated_rate)
        )
        return debts

    def _post_repaid_auction_principal(self, collateral_type: int, principal: int) -> None:
        """Subtract repaid principal from the principal under auction [rad].

        The caller burns the stablecoin that repays it.
        """
        if principal != 0:
            self._change_principal_in_auction(collateral_type, -principal)
            self._clear_distress_flag_if_covered(collateral_type)

    def _add_salvage_collateral(self, collateral_type: int, amount: int) -> None:
        """Add collateral to a type's salvage, the collateral left over from closed auctions [wad].

        This changes no stablecoin figure.
        """
        self.salvage[collateral_type] = add_uint256(self.salvage[collateral_type], amount)

    def _subtract_salvage_collateral(self, collateral_type: int, amount: int) -> None:
        """Subtract collateral from a type's salvage, the collateral left over from closed auctions [wad]."""
        self.salvage[collateral_type] = sub(self.salvage[collateral_type], amount)

    def _post_loss(self, collateral_type: int, principal: int) -> None:
        """Move principal from under auction to the deficit [rad]."""
        if principal != 0:
            self._change_principal_in_auction(collateral_type, -principal)
            self._add_recognised_deficit(collateral_type, principal)

    def _pay_reward_from_reserve(self, collateral_type: int, receiver: str, amount: int) -> None:
        """Mint a reward [wad] to the receiver at the cost of the reserve; the rest becomes a deficit."""
        if amount != 0:
            owed = mul_uint256(amount, RAY)
            balance: Balance = self.system[()]
            paid = min(balance.reserve, owed)
            self.system[()] = balance._replace(reserve=balance.reserve - paid)
            if paid != owed:
                self._add_recognised_deficit(collateral_type, owed - paid)
            self._mint_stablecoin(receiver, amount)

    def _add_recognised_deficit(self, collateral_type: int, amount: int) -> None:
        """Add a loss above 0 to a type's deficit [rad], and report it to the loss waterfall."""
        self.deficit[collateral_type] = self.deficit[collateral_type] + amount
        self.debts[collateral_type] = _set_distress_flag_in_debt_record(
            self.debts[collateral_type], DISTRESSED
        )
        self.loss_waterfall.recognise(self.address, collateral_type, amount)

    def _post_cover(self, collateral_type: int, amount: int) -> None:
        """Subtract from a type's deficit [rad] an amount that the caller takes from a source of funds."""
        deficit = self.deficit[collateral_type]
        require(amount <= deficit, "ledger: cover above deficit")
        self.deficit[collateral_type] = deficit - amount
        self._clear_distress_flag_if_covered(collateral_type)

    def _subtract_from_buffer(self, collateral_type: int, amount: int) -> None:
        """Subtract an amount from a collateral type's first-loss buffer [rad]."""
        income: Income = self.income[collateral_type]
        require(amount <= income.buffer, "ledger: buffer too small")
        self.income[collateral_type] = income._replace(buffer=income.buffer - amount)
        self._change_buffers_total(-_compute_difference_in_whole_coins(income.buffer - amount, income.buffer))

    def _post_from_reserve(self, amount: int) -> None:
        """Subtract an amount from the reserve [rad]."""
        balance: Balance = self.system[()]
        require(amount <= balance.reserve, "ledger: reserve too small")
        self.system[()] = balance._replace(reserve=balance.reserve - amount)

    def _move_retired_buffer_to_reserve(self, collateral_type: int, on_sale: int) -> None:
        """Move a retired type's whole buffer to the reserve.

        Reverts if the type has debt, principal under auction, a deficit or salvage.
        """
        idle = (
            self.debts[collateral_type].normalized_debt
            == self._sum_auctioned_principal_and_deficit(collateral_type)
            == 0
        )
        require(idle and self.salvage[collateral_type] == on_sale == 0, "ledger: type in use")
        amount = self.income[collateral_type].buffer
        self._subtract_from_buffer(collateral_type, amount)
        self._add_to_reserve(amount)
        self.loss_waterfall.retire(self.address, collateral_type)

    def _pay_receiver_from_reserve(self, receiver: str, amount: int) -> None:
        """Mint stablecoin [wad] to the receiver, and subtract the same value from the reserve."""
        self._post_from_reserve(mul_uint256(amount, RAY))
        self._mint_stablecoin(receiver, amount)

    def _post_redistribution(self, collateral_type: int, amount: int, ratio: int, least_ratio: int) -> int:
        """Cover a deficit by raising the debts of a type's borrowers pro rata; return the amount [rad].

        The accumulated rate rises by k = floor(amount/normalized_debt), as far as the cap allows.
        """
        debts = self._post_accrual(collateral_type)
        if debts.normalized_debt == 0:
            return 0
        redistribution = self._compute_current_redistribution(collateral_type)
        added = min(
            amount // debts.normalized_debt,
            _compute_max_redistribution_rate_rise(debts, redistribution, ratio, least_ratio),
        )
        if added != 0:
            debts = _set_distress_flag_in_debt_record(
                debts._replace(accumulated_rate=debts.accumulated_rate + added), SURCHARGED
            )
            length = self.loss_waterfall.EPOCH_LENGTH(self.address)
            self.redistributions[collateral_type] = redistribution._replace(
                added=redistribution.added + added, ends=(self.world.timestamp // length + 1) * length
            )
        self.debts[collateral_type] = debts
        covered = added * debts.normalized_debt
        if covered != 0:
            self._post_cover(collateral_type, covered)
        return covered

    # -------------------------------------------------- postings of settlement

    def _move_auctioned_principal_to_performing(self, collateral_type: int, principal: int) -> int:
        """Move principal from under auction back to performing debt, and return it as normalized debt.

        The normalized debt is rounded up; the rounding goes to the reserve.
        """
        debts: Debts = self.debts[collateral_type]
        normalized_debt = div_up(principal, debts.accumulated_rate)
        self.debts[collateral_type] = debts._replace(normalized_debt=debts.normalized_debt + normalized_debt)
        self._add_to_reserve(normalized_debt * debts.accumulated_rate - principal)
        self._post_repaid_auction_principal(collateral_type, principal)
        return normalized_debt

    def _post_settled(self, collateral_type: int, normalized_debt: int, worth: int) -> None:
        """Settle a vault's debt in settlement: the part `worth` [rad] as settled, the rest as a deficit."""
        debts: Debts = self.debts[collateral_type]
        debts = debts._replace(normalized_debt=sub(debts.normalized_debt, normalized_debt))
        self.debts[collateral_type] = debts
        debt = mul_uint256(normalized_debt, debts.accumulated_rate)
        self.settled_debt[()] = self.settled_debt[()] + worth
        if debt != worth:
            self._add_recognised_deficit(collateral_type, debt - worth)

    def _post_netted(self, listed: int) -> int:
        """Net all deficits, buffers and the reserve against settled debt, and return the supply [wad].

        The deficits, buffers and the reserve become 0. By the balance, the settled debt then equals the
        stablecoin supply.
        """
        settled = int(self.settled_debt[()])
        for c in decode_listed_types(listed):
            settled += int(self.deficit[c] - self.income[c].buffer)
            self.deficit[c] = 0
            self.income[c] = Income()
            self._clear_distress_flag_if_covered(c)
        settled -= int(self.system[()].reserve)
        self.settled_debt[()] = settled
        self.system[()] = Balance(global_debt_ceiling=NO_CEILING)
        return settled // RAY

    def _post_redeemed(self, owner: str, amount: int) -> None:
        """Burn an owner's stablecoin [wad] in settlement, and reduce the settled debt by its value."""
        self.settled_debt[()] = sub(self.settled_debt[()], mul_uint256(amount, RAY))
        self._burn_stablecoin(owner, amount)

    # ----------------------------------------------------------------- helpers

    def _mint_stablecoin(self, receiver: str, amount: int) -> None:
        """Mint stablecoin to the receiver [wad]; the caller makes the posting on the other side."""
        self.stablecoin.mint(self.address, receiver, amount)

    def _burn_stablecoin(self, payer: str, amount: int) -> None:
        """Burn stablecoin of the payer [wad]; the caller makes the posting on the other side."""
        self.stablecoin.burn(self.address, payer, amount)

    def _is_settling(self) -> bool:
        return bool(self.system[()].global_debt_ceiling == NO_CEILING)

    def _check_live(self) -> None:
        """Revert if settlement has begun."""
        self._check_not(self._is_settling())

    def _check_not(self, settling: bool) -> None:
        """Revert if the flag stored with a type's terms says that settlement has begun."""
        require(not settling, "ledger: in settlement")

    def _compute_current_redistribution(self, collateral_type: int) -> Redistribution:
        """Return a type's redistribution record, brought to the present epoch.

        An increase of the rate counts in its own epoch and in the next.
        """
        found: Redistribution = self.redistributions[collateral_type]
        if self.world.timestamp < found.ends:
            return found
        if found.added == 0:
            return found._replace(before=0)
        ends = found.ends + self.loss_waterfall.EPOCH_LENGTH(self.address)
        return found._replace(added=0, before=found.added if self.world.timestamp < ends else 0, ends=ends)

    def _sum_auctioned_principal_and_deficit(self, collateral_type: int) -> int:
        """Return a type's principal under auction plus its deficit [rad]."""
        return int(self.auctions[collateral_type].in_auction + self.deficit[collateral_type])

    def _clear_distress_flag_if_covered(self, collateral_type: int) -> None:
        """Clear a type's flag DISTRESSED if it has no principal under auction and no deficit."""
        if self._sum_auctioned_principal_and_deficit(collateral_type) == 0:
            debts: Debts = self.debts[collateral_type]
            self.debts[collateral_type] = debts._replace(distressed=debts.distressed & ~DISTRESSED)

    def _change_principal_in_auction(self, collateral_type: int, change: int) -> None:
        one: Auctions = self.auctions[collateral_type]
        self.auctions[collateral_type] = one._replace(in_auction=one.in_auction + change)

    def _change_buffers_total(self, coin_change: int) -> None:
        balance: Balance = self.system[()]
        self.system[()] = balance._replace(buffers=balance.buffers + coin_change)


def _set_distress_flag_in_debt_record(debt_record: Debts, distress_flag: int) -> Debts:
    return debt_record._replace(distressed=debt_record.distressed | distress_flag)


def _compute_max_redistribution_rate_rise(
    debts: Debts, redistribution: Redistribution, ratio: int, least_ratio: int
) -> int:
    """Return the most by which redistribution may still raise a type's rate now [ray, rounded down].

    The limits are the cap for an epoch's length, the gap between both collateral ratios, and the storage
    fields.
    """
    before = debts.accumulated_rate - redistribution.used
    most = min(before * redistribution.cap // BASIS_POINTS, before * (ratio - least_ratio) // least_ratio)
    highest = min(MAX_RATE, MAX_TYPE_DEBT // debts.normalized_debt)
    return min(max(0, most - redistribution.used), max(0, highest - debts.accumulated_rate))


def _compute_difference_in_whole_coins(lower: int, higher: int) -> int:
    """Return ceil(higher) - ceil(lower) of two amounts [rad] in whole stablecoins."""
    return div_up(higher, RAD) - div_up(lower, RAD)

"""What each role does about what it sees. Decisions are pure: a view and a memory in, intents out.

A keeper never acts for its own loss: whatever it sends earns `minimum_profit` after gas, but for the
public services (reports, steps of the price, accrual, closing, covering), which their operators pay for.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from backstop.deployment.accounts import account
from backstop.deployment.contracts import POOLS
from backstop.keepers.foresight import losses_beyond
from backstop.keepers.group import IN_POOL, KeeperGroup
from backstop.keepers.margin import deleverager, has_loss, margin_liquidator, matcher
from backstop.keepers.orders import OrderFile
from backstop.keepers.strategy import AtMarket, Offer, Strategy, asked
from backstop.keepers.view import Auction, View, Workout
from backstop.model import dutch
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.model.bounds import EQUITY_MARKET
from backstop.model.state import Revert
from backstop.model.workouts import repays
from backstop.randomness import Dice
from backstop.system import Action

UNLIMITED = 1 << 255
SPENDERS = {
    "recap_bidder": ("StakeAuction", "MintAuction"),
    "surplus_bidder": ("SurplusAuction",),
    "margin_liquidator": ("MarginMarket",),
}
"""Who takes a keeper's money without having been sent it."""

LEAST_COVER = 1_000 * RAD
"""A cover call that could pay less than this waits for its heartbeat."""

LEAST_INCOME = 100 * WAD
"""Less than this is not worth a distribution."""

_PATIENCE = 60
"""Seconds after the first failure in which a keeper leaves a thing alone; they double with each one."""


class Intent(NamedTuple):
    """A call that a keeper wants to make; `about` says what it is for, whatever the amounts."""

    action: Action
    about: tuple[Hashable, ...]
    spends: int = 0  # wad of the group's asset that it pays at most
    gain: int | None = None  # wad of stablecoin before gas; None where that is not why it is made
    gas: int | None = None  # that it needs; None where a job of the gas table stands for it


@dataclass
class Memory:
    """What one keeper remembers: how often it failed at a thing, when it last did one, and which of its
    calls are sent and not mined."""

    failures: dict[tuple[Hashable, ...], tuple[int, int]] = field(default_factory=dict)
    done: dict[tuple[Hashable, ...], int] = field(default_factory=dict)
    under_way: set[tuple[Hashable, ...]] = field(default_factory=set)

    def note(self, about: tuple[Hashable, ...], ok: bool, now: int) -> None:
        """Remember how a transaction went."""
        if ok:
            self.failures.pop(about, None)
            self.done[about] = now
        else:
            self.failures[about] = (self.failures.get(about, (0, 0))[0] + 1, now)

    def may(self, about: tuple[Hashable, ...], now: int) -> bool:
        """Whether to try a thing now: after each failure in a row the pause doubles, up to about an hour."""
        count, at = self.failures.get(about, (0, 0))
        return count == 0 or now > at + _PATIENCE * 2 ** min(count - 1, 6)

    def since(self, about: tuple[Hashable, ...], now: int) -> int:
        """Seconds since a thing was last done; a very long time if never."""
        return now - self.done[about] if about in self.done else 1 << 62


@dataclass(frozen=True)
class Keeper:
    """One keeper: who it is, its group's settings, its place in the group, and what it goes by: what things
    are worth to it, and of a matcher the orders."""

    name: str
    address: str
    group: KeeperGroup
    index: int
    seed: int = 0
    strategy: Strategy = field(default_factory=AtMarket)
    orders: OrderFile | None = None

    def decide(self, view: View, memory: Memory, gas_price: int) -> list[Intent]:
        """What it wants to have sent now, the most important first."""
        wanted: list[Intent] = []
        for intent in self._decisions(view, memory, gas_price):
            if intent.about not in memory.under_way and memory.may(intent.about, view.timestamp):
                wanted.append(intent)
                if len(wanted) == self.group.most:
                    break
        return wanted

    def _decisions(self, view: View, memory: Memory, gas_price: int) -> Decisions:
        """Those of its role, as far as settlement leaves it anything to do; then everybody is a holder."""
        role = self.group.role
        if view.settlement.begun_at == 0 or role in _IN_SETTLEMENT:
            yield from _ROLES[role](self, view, memory, gas_price)
        if view.settlement.fixed_at:
            yield from holder(self, view, gas_price)

    def intent(
        self,
        contract: str,
        method: str,
        *args: object,
        about: Hashable,
        spends: int = 0,
        gain: int | None = None,
        gas: int | None = None,
    ) -> Intent:
        """A call of its own."""
        return Intent(Action(contract, method, args, self.address), (method, about), spends, gain, gas)

    def worth(self, offers: Sequence[Offer]) -> dict[Hashable, int]:
        """Ray that 1e18 of each offer is worth, by id, as far as it is worth the price: a keeper's
        `takes_at` is its margin."""
        found = zip(offers, asked(self.strategy, offers), strict=True)
        return {
            offer.id: worth
            for offer, worth in found
            if worth is not None and offer.price * BASIS_POINTS <= worth * self.group.takes_at
        }

    def mine(self, key: int) -> bool:
        """Whether this thing falls to this keeper of its group."""
        return key % self.group.count == self.index


Decisions = Iterator[Intent]


def reporter(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Reports what it sees elsewhere when that moved, and at every heartbeat."""
    group = me.group
    for c, price in view.markets.items():
        last = view.report_of(c, me.address)
        if last is None or price <= group.refuses_at:
            continue
        due = view.timestamp >= last.reported_at + group.heartbeat
        enough = last.price * group.deviation
        # Whatever the noise, it cannot have moved so far: most of the time there is nothing to draw.
        if not due and abs(price - last.price) * BASIS_POINTS + price * group.noise + BASIS_POINTS < enough:
            continue
        if group.noise:
            off = Dice(me.seed, me.name, c, view.timestamp).between(-group.noise, group.noise)
            price += price * off // BASIS_POINTS
        if due or abs(price - last.price) * BASIS_POINTS >= enough:
            yield me.intent("PriceFeed", "report", c, price, about=c)


def poker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Steps the feed as soon as it may."""
    for c in view.markets:
        config = view.feed_config(c)
        due = view.timestamp >= view.stepped_at(c) + config.step
        if due and view.fresh_reports(c) >= config.quorum:
            yield me.intent("PriceFeed", "poke", c, about=c)


def accruer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Charges fees when nobody else has done it for a heartbeat."""
    for c in range(len(view.symbols)):
        if view.timestamp >= view.debts(c).accrued_at + me.group.heartbeat:
            yield me.intent("VaultEngine", "accrue", c, about=c)


def liquidator(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Liquidates unsafe vaults while there is room, and workouts not kept, if the reward pays for the gas."""
    cost = view.cost("LiquidationEngine", "liquidate", gas_price)
    for c in range(len(view.symbols)):
        room, terms, floor = view.room(c), view.auction_terms(c), view.terms(c).debt_floor * RAD
        for vault in view.unsafe(c):
            if room <= 0:
                break
            if not me.mine(int(vault.owner, 16)):
                continue
            principal = vault.debt if vault.debt - room < floor else room
            if principal < min(floor, vault.debt):
                continue
            reward = _reward(terms, principal)
            if reward >= cost + me.group.minimum_profit:
                room -= principal
                args = (c, vault.owner, me.address)
                yield me.intent("LiquidationEngine", "liquidate", *args, about=args[:2], gain=reward)
    cost = view.cost("Workouts", "foreclose", gas_price)
    for workout in view.foreclosable():
        reward = _reward(view.auction_terms(workout.collateral_type), workout.principal)
        if me.mine(workout.id) and reward >= cost + me.group.minimum_profit:
            foreclosure = (workout.id, me.address)
            yield me.intent("Workouts", "foreclose", *foreclosure, about=workout.id, gain=reward)


def flash_taker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Takes what it can sell at once for more than it pays, after fee, price impact and gas."""
    cost = view.cost("FlashTaker", "take_and_sell", gas_price)
    pools = {c: pool for c in range(len(view.symbols)) if (pool := view.pool(c)) is not None}
    open = [each for each in view.auctions if each.collateral_type in pools and _takeable(each)]
    worth = _worth_of(me, view, "flash", open, {c: pool.price for c, pool in pools.items()})
    open = [each for each in open if each.id in worth]
    # The cheapest against its market first: each sale moves the price for the next.
    for auction in sorted(open, key=lambda each: _discount(view, each)):
        c = auction.collateral_type
        pool = pools[c]
        if not memory.may(("take_and_sell", auction.id), view.timestamp):
            continue
        plan = best_fill(view, auction, pool.best_amount(auction.price), UNLIMITED, pool.proceeds)
        if plan is None or plan.profit < cost + me.group.minimum_profit:
            continue
        pools[c] = pool.after(plan.fill.collateral)
        yield me.intent(
            "FlashTaker",
            "take_and_sell",
            auction.id,
            plan.max_amount,
            auction.price,
            pool.address,
            # Somebody may sell first: it still must not lose by it.
            max(plan.profit // 2, cost),
            about=auction.id,
            gain=plan.profit,
        )


def bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buys with its own money, and keeps, what is cheap enough against the market."""
    cost = view.cost("CollateralAuction", "take", gas_price)
    budget = view.stablecoins(me.address)
    # What is sent has its money set aside already.
    open = [
        each
        for each in view.auctions
        if me.mine(each.id) and _takeable(each) and ("take", each.id) not in memory.under_way
    ]
    worth = _worth_of(me, view, "collateral", open, dict(enumerate(view.outside.prices)))
    for auction in open:
        if auction.id not in worth:
            continue
        affordable = min(auction.lot, budget * RAY // max(1, auction.price))
        plan = best_fill(view, auction, affordable, budget, partial(_worth, worth[auction.id]))
        if plan is None or plan.profit < cost + me.group.minimum_profit:
            continue
        budget -= plan.fill.paid
        yield me.intent(
            "CollateralAuction",
            "take",
            auction.id,
            plan.max_amount,
            auction.price,
            me.address,
            b"",
            about=auction.id,
            spends=plan.fill.paid,
            gain=plan.profit,
        )


def crank(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Closes auctions that can repay no more, resets those that are over, ends sales of equity.

    And has losses of domains booked.
    """
    for sale in view.equity_auctions:
        if sale.over:
            about = (sale.contract, sale.collateral_type)
            yield me.intent(sale.contract, "end", sale.collateral_type, about=about)
    if view.settlement.begun_at:
        return
    for name, domain in view.domains.items():
        if domain.announced and view.timestamp >= domain.ready_at:
            yield me.intent(name, "realise_loss", about=name)
    for auction in view.auctions:
        if auction.lot == 0:
            yield me.intent("CollateralAuction", "close", auction.id, about=auction.id)
    for auction in view.auctions:
        c = auction.collateral_type
        price = view.auction_price(c)
        if auction.lot == 0 or not auction.needs_reset or price == 0:
            continue
        terms = view.auction_terms(c)
        worthless = auction.lot * price < terms.minimum * RAD
        if worthless and view.timestamp > auction.started_at + terms.tail and auction.principal:
            yield me.intent("CollateralAuction", "close", auction.id, about=auction.id)
        elif not worthless:
            yield me.intent("CollateralAuction", "reset", auction.id, me.address, about=auction.id)


def coverer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Has deficits covered when the ledger's own stages can pay, and at every heartbeat."""
    for c in view.types:
        deficit = view.deficit(c)
        if deficit == 0:
            continue
        at_once = min(deficit, sum(view.payable(stage, c) for stage in ("buffer", "reserve")))
        about = ("cover", c)
        if at_once >= min(deficit, LEAST_COVER) or memory.since(about, view.timestamp) >= me.group.heartbeat:
            yield me.intent("LossWaterfall", "cover", c, about=c)


def recogniser(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Has visible losses marked, so that nobody leaves a pool ahead of them; and marks cleared."""
    of_vaults, of_auctions = view.marks()
    worth = {}
    for c in range(len(view.symbols)):
        if view.price(c):
            price = max(view.price(c), view.time_weighted(c))
            worth[c] = price * (BASIS_POINTS - view.mark_discount())
    # Workouts are marked as the auctions that they put off.
    positions: list[Auction | Workout] = [*view.auctions, *view.workouts]
    for each in positions:
        c = each.collateral_type
        if c in worth:
            mark = max(0, each.principal - each.lot * worth[c] // BASIS_POINTS)
            if _moved(me, of_auctions.pop(each.id, 0), mark):
                yield me.intent("LossWaterfall", "mark_auction", each.id, about=each.id)
        else:
            of_auctions.pop(each.id, None)
    for c, price in worth.items():
        marked = {owner for type_, owner in of_vaults if type_ == c}
        for vault in view.doubtful(c, price // BASIS_POINTS, marked):
            mark = max(0, vault.debt - vault.locked * price // BASIS_POINTS)
            if _moved(me, of_vaults.pop((c, vault.owner), 0), mark):
                yield me.intent("LossWaterfall", "mark_vault", c, vault.owner, about=(c, vault.owner))
    # What is left in the books is over: sold, repaid or closed.
    for id in of_auctions:
        yield me.intent("LossWaterfall", "mark_auction", id, about=id)
    for c, owner in of_vaults:
        if c in worth:
            yield me.intent("LossWaterfall", "mark_vault", c, owner, about=(c, owner))


def member(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Leaves a pool when a loss that would reach it is in sight; one that leaves at nothing stays,
    unless a run has begun.

    Settlement pauses exits; once its books are closed, coins are worth more outside than in a pool of them.
    """
    pool, settled = me.group.pool, view.settlement.fixed_at != 0
    runs = me.group.leaves_from is not None and view.timestamp >= me.group.leaves_from
    stays = me.group.leaves_at == 0 and not runs if not settled else me.group.asset != "Stablecoin"
    if stays or not view.has_pool(pool) or (view.settlement.begun_at and not settled):
        return
    contract, terms, mine = POOLS[pool][0], view.exit_terms(pool), view.membership(pool, me.address)
    if mine.requested:
        matures_at = mine.requested_at + terms.cooldown
        if view.timestamp > matures_at + terms.window:
            yield me.intent(contract, "cancel_request", about=pool)
        elif view.timestamp >= matures_at:
            yield me.intent(contract, "redeem", mine.requested, me.address, me.address, about=pool)
    elif mine.shares:
        worth = view.outside.equity_price if pool == "staked_equity" else RAY
        seen = losses_beyond(view, pool)
        enough = seen * BASIS_POINTS >= view.assets(pool) * worth * (me.group.leaves_at or UNLIMITED)
        if not (settled or runs or enough):
            return
        if terms.cooldown:
            yield me.intent(contract, "request_redeem", mine.shares, about=pool)
        else:
            yield me.intent(contract, "redeem", mine.shares, me.address, me.address, about=pool)


def recap_bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buys equity that is slashed or new with its own stablecoins, below the market, and keeps it."""
    budget = view.stablecoins(me.address)
    # One contract after the other: their sales have the same ids.
    for contract in dict.fromkeys(sale.contract for sale in view.equity_auctions):
        budget -= yield from _recapitalise(me, view, memory, gas_price, contract, budget)


def _recapitalise(
    me: Keeper, view: View, memory: Memory, gas_price: int, contract: str, budget: int
) -> Generator[Intent, None, int]:
    """The takes from one contract's sales; what they cost, wad."""
    before = budget
    open = [
        sale
        for sale in view.equity_auctions
        if sale.contract == contract
        and not sale.over
        and ("take", (contract, sale.collateral_type)) not in memory.under_way
    ]
    offers = [
        Offer(
            "equity",
            sale.collateral_type,
            "Equity",
            sale.lot,
            sale.target,
            sale.price,
            view.outside.equity_price,
            view.timestamp,
        )
        for sale in open
    ]
    worth = me.worth(offers)
    for sale in open:
        if sale.collateral_type not in worth:
            continue
        amount = min(sale.lot, budget * RAY // sale.price)
        paid = min(div_up(amount * sale.price, RAY), sale.target)
        if paid > sale.target - WAD and amount < sale.lot:
            # A rest of less than a coin is refused.
            amount = max(0, sale.target - WAD) * RAY // sale.price
            paid = div_up(amount * sale.price, RAY)
        profit = _worth(worth[sale.collateral_type], amount) - paid
        if profit < view.cost(sale.contract, "take", gas_price) + max(1, me.group.minimum_profit):
            continue
        budget -= paid
        args = (sale.collateral_type, amount, sale.price, me.address, b"")
        about = (sale.contract, sale.collateral_type)
        yield me.intent(sale.contract, "take", *args, about=about, spends=paid, gain=profit)
    return before - budget


def surplus_bidder(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Buys surplus with its own equity, which is burned, when equity is dear in the sale."""
    if not view.has_equity or view.surplus_auction is None or view.pending_losses():
        return
    sale, market = view.surplus_auction, view.outside.equity_price
    amount = min(sale.lot, view.equity(me.address) * RAY // sale.price)
    paid = div_up(amount * sale.price, RAY)
    profit = amount - paid * market // RAY
    cost = view.cost("SurplusAuction", "take", gas_price)
    if profit >= cost + max(1, me.group.minimum_profit):
        args = (amount, sale.price, me.address, b"")
        yield me.intent("SurplusAuction", "take", *args, about="surplus", spends=paid, gain=profit)


def treasurer(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Has claims repaid and income shared, and puts surplus up for sale, once no loss is open."""
    if not view.has_equity or view.pending_losses():
        return
    above, offered = view.surplus()
    due = min(view.claims(), view.reserve() // RAY)
    if max(due, above - offered) >= LEAST_INCOME:
        if memory.since(("distribute", "income"), view.timestamp) >= me.group.heartbeat:
            yield me.intent("Treasury", "distribute", about="income")
    elif offered >= view.surplus_lot() and view.surplus_auction is None and view.price(EQUITY_MARKET):
        yield me.intent("SurplusAuction", "start", about="surplus")


def ceilings(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Raises a ceiling when it may and half of its gap is used up; lowers one that is half a gap too high."""
    for c in range(len(view.symbols)):
        terms, debt, old = view.ceiling(c), view.type_debt(c), view.terms(c).debt_ceiling
        if terms.max_line == 0:
            continue
        new, half = terms.line(debt), terms.gap * RAD // 2
        may_rise = view.timestamp >= terms.raised_at + terms.ttl
        near = old * RAD - debt <= half
        if (new > old and near and may_rise) or (new < old and (old - new) * RAD >= half):
            yield me.intent("AutoCeiling", "adjust", c, about=c)


def breaker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Tells the circuit breaker of a trigger above the mode; has the mode lowered once it is calm."""
    if view.breaker is None:
        return
    mode, calm_from, calm_period = view.breaker
    holding = view.triggers()
    worst = holding[0][0] if holding else 0
    if worst > mode:
        yield me.intent("CircuitBreaker", "escalate", *holding[0][1:], about=worst)
    elif worst < mode and view.timestamp >= calm_from + calm_period:
        yield me.intent("CircuitBreaker", "calm", about=mode)


def guardian(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Carries out its schedule, each entry once it is time: a halt, a mode, a domain's whole debt as lost."""
    for i, order in enumerate(me.group.schedule):
        if view.outside.clock < order.at or ("raise_to", i) in memory.done:
            continue
        if order.halt:
            c = view.symbols.index(order.halt)
            if not view.feed_config(c).halted:
                yield me.intent("PriceFeed", "set_halted", c, True, about=c)
        elif order.announce:
            domain = view.domains.get(order.announce)
            if domain is not None and domain.debt and domain.announced == 0:
                yield me.intent(order.announce, "announce_loss", div_up(domain.debt, RAY), about=i)
        elif view.breaker is not None and view.breaker.mode < order.raise_to:
            yield me.intent("CircuitBreaker", "raise_to", order.raise_to, about=i)


def caller(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Calls vaults under the call ratio for more margin; whoever liquidates goes by what is due."""
    for c in range(len(view.symbols)):
        for vault in view.callable(c):
            yield me.intent("LiquidationEngine", "call", c, vault.owner, about=(c, vault.owner))


def owners(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Those owners who answer a call, or use a grace, repay what is missing, as far as their money goes."""
    budget = view.stablecoins(me.address)
    for c in range(len(view.symbols)):
        warned = {call.owner for call in view.calls(c)} | {vault.owner for vault in view.spared(c)}
        for vault in view.vaults(c):
            chosen = int(vault.owner, 16) % BASIS_POINTS < me.group.answers
            missing = view.shortfall(c, vault)
            if vault.owner not in warned or not chosen or missing == 0:
                continue
            # Fees until the transaction is in; less than the floor may not be left.
            amount, whole = div_up(missing, RAY) * 1_001 // 1_000, div_up(vault.debt, RAY)
            if vault.debt - amount * RAY < view.terms(c).debt_floor * RAD:
                amount = whole * 1_001 // 1_000
            if amount <= budget:
                budget -= amount
                args = (c, vault.owner, amount, 0, me.address)
                yield me.intent("VaultEngine", "repay_and_withdraw", *args, about=(c, vault.owner))


def debtor(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Restructures called vaults of those for whom it may act, a share of them, and pays the instalments.

    It pays once half of the interval is over, as far as its money goes; what it cannot pay is foreclosed.
    """
    budget = view.stablecoins(me.address)
    # What is sent has its money set aside already.
    sent = {name[1] for name in memory.under_way}
    for workout in view.workouts:
        soon = view.timestamp >= workout.due - workout.interval // 2
        if soon and workout.id not in sent and view.acts_for(me.address, workout.owner):
            amount = _instalment(view, workout)
            if amount is not None and amount <= budget:
                budget -= amount
                yield me.intent("Workouts", "pay", workout.id, amount, about=workout.id, spends=amount)
    for c in range(len(view.symbols)):
        instalments = min(me.group.instalments, view.workout_terms(c).instalments)
        for vault in view.restructurable(c):
            # From the other end than those who meet calls.
            chosen = BASIS_POINTS - 1 - int(vault.owner, 16) % BASIS_POINTS < me.group.answers
            first = vault.debt // (RAY * instalments)
            mine = chosen and (c, vault.owner) not in sent and view.acts_for(me.address, vault.owner)
            if mine and first <= budget:
                budget -= first
                yield me.intent("Workouts", "enter", c, vault.owner, instalments, about=(c, vault.owner))


def _instalment(view: View, workout: Workout) -> int | None:
    """What to pay next, wad; None if there is nothing to pay for yet."""
    c, amount = workout.collateral_type, workout.missing(workout.met + 1)
    if amount == 0:
        # Paid while the lot was worth too little: it is looked at again once it is worth enough.
        price = view.new_risk_price(c)
        return 0 if repays(workout.lot, price, workout.discount, workout.principal) else None
    rest = workout.principal - amount * RAY
    if 0 < rest < view.terms(c).debt_floor * RAD:
        return div_up(workout.principal, RAY)
    return amount


def borrower(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draws `each` against its collateral once a heartbeat, until it owes its capital or nearly.

    It waits while owing costs more than it would pay.
    """
    c, pays = view.symbols.index(me.group.collateral), me.group.pays
    due = memory.since(("deposit_and_draw", "vault"), view.timestamp) >= me.group.heartbeat
    if due and (pays is None or view.fee(c) <= pays):
        yield from _draw(me, view)


def exploiter(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draws whenever what it locks is worth less on the market than what it draws: it never comes back."""
    c = view.symbols.index(me.group.collateral)
    for intent in _draw(me, view):
        _, _, locked, drawn, _ = intent.action.args
        cost = view.cost("VaultEngine", "deposit_and_draw", gas_price)
        if drawn - _worth(view.outside.prices[c], locked) >= cost + max(1, me.group.minimum_profit):
            yield intent


def _draw(me: Keeper, view: View) -> Decisions:
    """The next draw, at the ratio of the group and the feed's price; none once it was liquidated.

    What it draws it spends at once: it goes to the market, as what the book's owners drew.
    """
    c = view.symbols.index(me.group.collateral)
    price, vault, amount = view.risk_price(c), view.vault(c, me.address), me.group.each
    owed = vault.normalized_debt * view.rate(c) // RAY
    # Fees do not count against its last draw.
    if price and owed + amount // 2 <= me.group.capital and not vault.liquidated:
        unit = view.terms(c).unit
        locked = div_up(amount * me.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (c, me.address, locked, amount, account("market_maker"))
        yield me.intent("VaultEngine", "deposit_and_draw", *args, about="vault")


def bridge(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Draws `each` for its domain once a heartbeat, or what its line leaves, until it owes its capital.

    What it draws goes to the market, unless the group says whose it is.
    """
    domain = view.domains.get(me.group.domain)
    if domain is None or domain.announced:
        return
    if memory.since(("draw", "domain"), view.timestamp) < me.group.heartbeat:
        return
    used = div_up(domain.debt, RAY) + domain.lost
    room = view.terms(domain.collateral_type).debt_ceiling * WAD - used
    amount = min(me.group.each, me.group.capital - used, room)
    if amount > 0:
        receiver = me.group.to or account("market_maker")
        yield me.intent(me.group.domain, "draw", amount, receiver, about="domain")


def attacker(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Makes each move of its plan once, from its time on until it succeeds, whatever that brings."""
    for i, move in enumerate(me.group.plan):
        if view.outside.clock < move.at or (_METHODS[move.do], i) in memory.done:
            continue
        share, c = partial(_share, move.share), _collateral(me, view)
        if move.do in IN_POOL:
            if view.has_pool(me.group.pool):
                yield from _in_pool(me, view, i, move.do, share)
        elif move.do in ("draw", "repay"):
            yield from _own_vault(me, view, i, move.do, c, share)
        elif move.do == "liquidate":
            if any(vault.owner == me.address for vault in view.unsafe(c)):
                yield me.intent("LiquidationEngine", "liquidate", c, me.address, me.address, about=i)
        elif move.do == "cover":
            if view.deficit(c):
                yield me.intent("LossWaterfall", "cover", c, about=i)
        else:
            yield from _in_auctions(me, view, i, move.do, c, share)


_METHODS = {
    "ask": "request_redeem",
    "take_back": "cancel_request",
    "leave": "redeem",
    "enter": "deposit",
    "donate": "add_income",
    "draw": "deposit_and_draw",
    "repay": "repay_and_withdraw",
    "liquidate": "liquidate",
    "buy": "take",
    "reset": "reset",
    "cover": "cover",
}
"""What an attacker's moves call."""


def _share(share: int, amount: int) -> int:
    return amount * share // BASIS_POINTS


def _collateral(me: Keeper, view: View) -> int:
    return view.symbols.index(me.group.collateral) if me.group.collateral else 0


def _in_pool(me: Keeper, view: View, i: int, do: str, share: Callable[[int], int]) -> Decisions:
    """What an attacker does as a member of its pool, or as somebody who gives to it."""
    contract, terms = POOLS[me.group.pool][0], view.exit_terms(me.group.pool)
    mine, coins = view.membership(me.group.pool, me.address), share(view.stablecoins(me.address))
    if do == "ask" and terms.cooldown and share(mine.shares):
        yield me.intent(contract, "request_redeem", share(mine.shares), about=i)
    elif do == "take_back" and mine.requested:
        yield me.intent(contract, "cancel_request", about=i)
    elif do == "leave":
        matures_at = mine.requested_at + terms.cooldown
        matured = mine.requested if view.timestamp >= matures_at else 0
        shares = share(matured if terms.cooldown else mine.shares)
        if shares:
            yield me.intent(contract, "redeem", shares, me.address, me.address, about=i)
    elif do == "enter" and coins:
        yield me.intent(contract, "deposit", coins, me.address, about=i, spends=coins)
    elif do == "donate" and coins:
        yield me.intent(contract, "add_income", coins, about=i, spends=coins)


def _own_vault(me: Keeper, view: View, i: int, do: str, c: int, share: Callable[[int], int]) -> Decisions:
    """An attacker borrows, and keeps the coins; or repays as much as it can, all of it if that is enough."""
    vault, price = view.vault(c, me.address), view.risk_price(c)
    amount, unit = share(me.group.each), view.terms(c).unit
    if do == "draw" and price and amount:
        locked = div_up(amount * me.group.ratio * RAY, BASIS_POINTS * price * unit) * unit
        args = (c, me.address, locked, amount, me.address)
        yield me.intent("VaultEngine", "deposit_and_draw", *args, about=i)
    elif do == "repay" and vault.locked_collateral:
        # Fees until the transaction is in.
        owed = div_up(vault.normalized_debt * view.rate(c), RAY) * 1_001 // 1_000
        coins = share(view.stablecoins(me.address))
        back = vault.locked_collateral if coins >= owed else 0
        args = (c, me.address, min(coins, owed), back, me.address)
        if coins or back:
            yield me.intent("VaultEngine", "repay_and_withdraw", *args, about=i, spends=coins)


def _in_auctions(me: Keeper, view: View, i: int, do: str, c: int, share: Callable[[int], int]) -> Decisions:
    """An attacker buys from the oldest auction at any price, or resets the oldest that is over."""
    own = [auction for auction in view.auctions if auction.collateral_type == c]
    for auction in own:
        if do == "buy" and _takeable(auction):
            coins = share(view.stablecoins(me.address))
            amount = min(auction.lot, coins * RAY // max(1, auction.price))
            plan = best_fill(view, auction, amount, coins, partial(_worth, view.outside.prices[c]))
            if plan is not None:
                args = (auction.id, plan.max_amount, auction.price, me.address, b"")
                yield me.intent("CollateralAuction", "take", *args, about=i, spends=plan.fill.paid)
                return
        elif do == "reset" and auction.needs_reset and view.auction_price(c):
            yield me.intent("CollateralAuction", "reset", auction.id, me.address, about=i)
            return


def settler(me: Keeper, view: View, memory: Memory, gas_price: int) -> Decisions:
    """Notes losses that stay uncovered, begins settlement when anybody may, and carries it through."""
    if view.settlement.begun_at == 0:
        if view.may_begin():
            yield me.intent("Settlement", "begin", about="settlement")
        elif view.note_due():
            yield me.intent("Settlement", "note", about="deficit")
    elif view.settlement.fixed_at == 0:
        steps = list(_winding_up(me, view))
        yield from steps
        if not (steps or view.equity_auctions):
            yield me.intent("Settlement", "fix", about="settlement")


def _winding_up(me: Keeper, view: View) -> Decisions:
    """What has to be done before the books are closed, as far as it can be done now."""
    for auction in view.auctions:
        yield me.intent("CollateralAuction", "unwind", auction.id, about=auction.id)
    for workout in view.workouts:
        yield me.intent("Workouts", "unwind", workout.id, about=workout.id)
    for c in view.types:
        if not view.has_final_price(c):
            yield me.intent("Settlement", "fix_price", c, about=c)
        elif view.in_auction(c) == 0:
            for vault in view.vaults(c):
                yield me.intent("Settlement", "skim", c, vault.owner, about=(c, vault.owner))


def holder(me: Keeper, view: View, gas_price: int) -> Decisions:
    """Redeems its stablecoins for a share of every collateral, where that brings more than it costs."""
    types = [c for c in range(len(view.symbols)) if view.share(c)]
    coins, each = view.stablecoins(me.address), view.cost("Settlement", "cash", gas_price)
    cost = view.cost("Settlement", "redeem", gas_price) + len(types) * each
    if coins * view.coin_worth() // RAY > cost:
        yield me.intent("Settlement", "redeem", coins, about="coins")
    for c in types:
        amount = view.to_cash(c, me.address)
        if amount * view.share(c) // RAY * view.outside.prices[c] // RAY > each:
            yield me.intent("Settlement", "cash", c, amount, about=c)


_IN_SETTLEMENT = ("crank", "settler", "member")
"""What other roles do, settlement has stopped."""

_ROLES: dict[str, Callable[[Keeper, View, Memory, int], Decisions]] = {
    "reporter": reporter,
    "poker": poker,
    "accruer": accruer,
    "liquidator": liquidator,
    "flash_taker": flash_taker,
    "bidder": bidder,
    "crank": crank,
    "coverer": coverer,
    "recap_bidder": recap_bidder,
    "surplus_bidder": surplus_bidder,
    "treasurer": treasurer,
    "recogniser": recogniser,
    "ceilings": ceilings,
    "breaker": breaker,
    "guardian": guardian,
    "caller": caller,
    "owners": owners,
    "debtor": debtor,
    "borrower": borrower,
    "exploiter": exploiter,
    "bridge": bridge,
    "attacker": attacker,
    "settler": settler,
    "member": member,
    "margin_liquidator": margin_liquidator,
    "deleverager": deleverager,
    "matcher": matcher,
}

# A role that is not named may want something at any time, as those do that keep to a schedule.
_OCCASIONS: dict[str, Callable[[View], bool]] = {
    "liquidator": lambda view: (
        any(view.unsafe(c) for c in range(len(view.symbols))) or bool(view.foreclosable())
    ),
    "flash_taker": lambda view: any(map(_takeable, view.auctions)),
    "bidder": lambda view: any(map(_takeable, view.auctions)),
    "crank": lambda view: bool(
        view.auctions or view.equity_auctions or any(each.announced for each in view.domains.values())
    ),
    "coverer": lambda view: any(view.deficit(c) for c in view.types),
    "recap_bidder": lambda view: bool(view.equity_auctions),
    "surplus_bidder": lambda view: view.has_equity and view.surplus_auction is not None,
    "deleverager": has_loss,
}


def has_occasion(role: str, view: View) -> bool:
    """Whether a keeper of this role could want anything now: if not, nobody need ask it."""
    occasion = _OCCASIONS.get(role)
    return occasion is None or view.settlement.begun_at != 0 or occasion(view)


def approvals(me: Keeper, view: View) -> Decisions:
    """What a keeper has to allow before it can buy; in a simulation its setting does."""
    for spender in SPENDERS.get(me.group.role, ()):
        if spender in view.addresses and not view.allowance(me.group.asset, me.address, spender):
            address = view.addresses[spender]
            yield me.intent(me.group.asset, "approve", address, MAX_UINT256, about=spender)


class Plan(NamedTuple):
    """A take: what it would buy now, the amount to ask for, the profit in wad."""

    fill: dutch.Fill
    max_amount: int
    profit: int


def best_fill(
    view: View, auction: Auction, amount: int, budget: int, value: Callable[[int], int]
) -> Plan | None:
    """The take of about `amount` that brings the largest profit, by the contract's own rules.

    Tried: the amount itself; as much as leaves a rest that is allowed; the whole lot.
    """
    terms = view.auction_terms(auction.collateral_type)
    market_price = auction.top * BASIS_POINTS // terms.buf
    least = terms.minimum * WAD
    candidates = {min(amount, auction.lot), auction.lot}
    if auction.lot * market_price > least * RAY:
        candidates.add(min(amount, auction.lot - div_up(least * RAY, market_price) - terms.unit))
    if auction.price and auction.target > least:
        candidates.add(min(amount, (auction.target - least) * RAY // auction.price))
    best: Plan | None = None
    for candidate in sorted(candidates):
        if candidate <= 0:
            continue
        try:
            fill = dutch.fill(
                terms, auction.lot, auction.target, auction.top, auction.price, candidate, auction.price
            )
        except Revert:
            continue
        profit = value(fill.collateral) - fill.paid
        if fill.paid <= budget and (best is None or profit > best.profit):
            # Until it is included the price falls: what ends an auction now would then leave a rest.
            best = Plan(fill, auction.lot if fill.rest == 0 else fill.collateral, profit)
    return best


def _moved(me: Keeper, old: int, new: int) -> bool:
    """Whether a mark is worth a transaction."""
    change = abs(new - old)
    if new == 0:
        return change != 0
    return change >= LEAST_COVER and change * BASIS_POINTS >= max(old, new) * me.group.deviation


def _reward(terms: dutch.Terms, principal: int) -> int:
    """What whoever starts an auction for a principal (rad) is paid, wad."""
    penalty = principal * (terms.penalty - BASIS_POINTS) // BASIS_POINTS
    return min(terms.reward((principal + penalty) // RAY), penalty // RAY)


def _worth(price: int, amount: int) -> int:
    return amount * price // RAY


def _takeable(auction: Auction) -> bool:
    return not auction.needs_reset and auction.lot != 0


def _worth_of(
    me: Keeper, view: View, sale: str, auctions: Iterable[Auction], market: Mapping[int, int]
) -> dict[Hashable, int]:
    """What auctions of collateral are worth to a keeper, as `worth` has it; `market` says it elsewhere."""
    if isinstance(me.strategy, AtMarket):  # nobody need be asked
        most = {c: price * me.group.takes_at for c, price in market.items()}
        return {
            each.id: market[each.collateral_type]
            for each in auctions
            if each.price * BASIS_POINTS <= most[each.collateral_type]
        }
    return me.worth([_offer(view, sale, each, market[each.collateral_type]) for each in auctions])


def _offer(view: View, sale: str, auction: Auction, market: int) -> Offer:
    """An auction of collateral, as a strategy is asked about it."""
    symbol, left = view.symbols[auction.collateral_type], (auction.lot, auction.target)
    return Offer(sale, auction.id, symbol, *left, auction.price, market, view.timestamp)


def _discount(view: View, auction: Auction) -> tuple[int, int]:
    market = view.outside.prices[auction.collateral_type]
    return auction.price * WAD // max(1, market), auction.id

"""What else might be done at a moment of a game, and must not matter, must succeed, or must fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import BASIS_POINTS, RAD, RAY, WAD
from backstop.model.bounds import MIN_RANKED
from backstop.studies.hunt.books import OUTSIDE, Books, Prices, Sheet
from backstop.studies.hunt.story import act_text, name_of
from backstop.system import Action

KEEPER = get_account("poker")
"""Somebody who only calls."""
# Which arguments are amounts: in two parts they do the same.
_AMOUNTS: dict[str, tuple[int, ...]] = {
    "Pool.deposit": (0,),
    "Pool.mint": (0,),
    "Pool.requestRedeem": (0,),
    "Pool.redeem": (0,),
    "Pool.withdraw": (0,),
    "Pool.add_income": (0,),
    "Pool.transfer": (1,),
    "Claims.repay": (0,),
    "Claims.convert": (0,),
    "Claims.transfer": (1,),
    "VaultEngine.deposit_and_draw": (2, 3),
    "VaultEngine.repay_and_withdraw": (2, 3),
    "CollateralAuction.take": (1,),
    "Settlement.redeem": (0,),
    "Settlement.cash": (1,),
    "Domain.draw": (0,),
    "Domain.repay": (0,),
    "Domain.recover": (0,),
    "Domain.redeem": (0,),
    "PerpetualMarket.deposit": (1,),
    "PerpetualMarket.withdraw": (0,),
    "PerpetualDesk.take": (1,),
    "PerpetualDesk.liquidate": (2,),
    "MarginOrders.fill": (4,),
    "MarginFund.insure": (0,),
    "StakeAuction.take": (1,),
    "MintAuction.take": (1,),
    "SurplusAuction.take": (0,),
    "Workouts.pay": (1,),
    "Workouts.top_up": (1,),
}
# What anybody may call, and has nothing left to do once it is done.
_CRANKS = (
    *("VaultEngine.accrue", "Pool.cut", "Pool.settle", "Pool.collect_claims", "LossWaterfall.cover"),
    *("LossWaterfall.make_good", "LiquidationEngine.flag", "CollateralAuction.reset", "Settlement.note"),
    *("Settlement.skim", "Settlement.cover_last", "Treasury.distribute", "AutoCeiling.adjust"),
    *("Workouts.flag", "MarginFund.claim", "Claims.collect"),
    *("CollateralAuction.close", "CollateralAuction.unwind", "StakeAuction.end", "MintAuction.end"),
    *("LiquidationEngine.liquidate", "Workouts.foreclose", "Domain.realise_loss"),
    *("PerpetualMarket.accrue", "PerpetualMarket.wake", "PerpetualMarket.sweep"),
    *("PerpetualMarket.post_shortfall", "PerpetualMarket.end_market", "PerpetualMarket.roll"),
    *("PerpetualCloser.execute", "PerpetualCloser.share"),
)
_SHARE = 0.35
_SELDOM = 0.06


class Told(NamedTuple):
    """What is not as it should be: its kind, how much it is [wad], a sentence, and what shows it."""

    kind: str
    size: int
    says: str
    lines: tuple[str, ...] = ()


class Questions:
    """Asked at moments of one game; nothing changes by them."""

    def __init__(self, system: ModelSystem, books: Books, kind_of: Callable[[Action], str]) -> None:
        self.system = system
        self.books = books
        self.contracts: dict[str, Any] = dict(system.world.contracts)
        self.kind_of = kind_of

    def count(self, prices: Prices) -> Sheet:
        """Count everybody's accounts, with all debts brought up to date."""
        with self.system.fork_state():
            for c in range(len(prices.types)):
                self.system.apply(Action("VaultEngine", "accrue", (c,), KEEPER))
            if "PerpetualMarket" in self.contracts:
                self._wake_all()
            return self.books.count(prices)

    def _wake_all(self) -> None:
        """Bring the marks of the margin market, and its accounts, up to now."""
        market = self.contracts["PerpetualMarket"]
        for m in range(self.contracts["MarginPolicy"].count[()]):
            self.system.apply(Action("PerpetualMarket", "accrue", (m,), KEEPER))
        for owner in list(market.accounts):
            self.system.apply(Action("PerpetualMarket", "wake", (owner,), KEEPER))

    def before(self, action: Action, prices: Prices, least: int, random: Random) -> Iterator[Told]:
        """Ask, before something that succeeds is done, whether it may be done in parts, and by others."""
        kind = self.kind_of(action)
        if kind in _AMOUNTS and random.random() < _SHARE:
            yield from self._in_parts(kind, action, prices, least, random)
        if kind == "MarginOrders.fill":
            yield from self._void(action)
        if kind in ("PerpetualCloser.submit", "PerpetualCloser.share") and len(action.args[2]) > 1:
            yield from self._closed_in_parts(action, prices, least)
        if kind in _CRANKS and random.random() < _SHARE:
            yield from self._by_another(kind, action, prices, least)

    def after(
        self, action: Action, prices: Prices, known: Sheet, least: int, random: Random
    ) -> Iterator[Told]:
        """Ask, when something was done, whether doing it again does more; at times, who can leave."""
        kind = self.kind_of(action)
        if kind in _CRANKS and random.random() < _SHARE:
            with self.system.fork_state():
                if self.system.apply(action).ok:
                    yield from self._differ(f"{kind} at once again", known, self.count(prices), least)
        if (
            kind == "MarginOrders.fill"
            and action.args[4] == min(abs(action.args[0].size), abs(action.args[2].size))
            and self.system.dry_run(action).ok
        ):
            stake = action.args[4] * action.args[0].price
            yield Told("possible: to fill an order twice", stake, act_text(action)[:80])
        if random.random() < _SELDOM:
            with self.system.fork_state():
                for c in range(len(prices.types)):
                    self.system.apply(Action("VaultEngine", "accrue", (c,), KEEPER))
                yield from self._ways_out(prices, known, least)
                yield from self._ways_in(least)

    # ------------------------------------------------------------ must not matter

    def _in_parts(
        self, kind: str, action: Action, prices: Prices, least: int, random: Random
    ) -> Iterator[Told]:
        at = _AMOUNTS[kind]
        if any(not 0 <= action.args[i] < 2**120 for i in at):
            return
        one, other = list(action.args), list(action.args)
        share = random.choice((2, 2, 3, 10))
        for i in at:
            one[i] = action.args[i] // share
            other[i] = action.args[i] - one[i]
        if kind == "VaultEngine.repay_and_withdraw":
            # A part of a debt ends at the floor.
            least += int(self.contracts["VaultEngine"].terms[action.args[0]].debt_floor) * RAD
        sheets = []
        for parts in ([action], [action._replace(args=tuple(one)), action._replace(args=tuple(other))]):
            with self.system.fork_state():
                if not all(self.system.apply(part).ok for part in parts):
                    return
                sheets.append(self.count(prices))
        whole, halves = sheets
        if kind == "PerpetualDesk.liquidate":
            # The reward of parts is rounded down: nobody has more of it.
            whole = {who: max(amount, halves[who]) for who, amount in whole.items() if who == action.sender}
            halves = {action.sender: halves[action.sender]}
        yield from self._differ(f"{kind} at once, or in two parts", whole, halves, least)

    def _void(self, action: Action) -> Iterator[Told]:
        """Have an order that its account has cancelled be filled no more."""
        maker = action.args[0]
        for call, args in (("cancel", (maker,)), ("raise_nonce", (maker.nonce + 1,))):
            with self.system.fork_state():
                done = self.system.apply(Action("MarginOrders", call, args, maker.account))
                if done.ok and self.system.apply(action).ok:
                    stake = action.args[4] * maker.price
                    yield Told(f"possible: to fill an order after {call}", stake, act_text(action)[:80])

    def _closed_in_parts(self, action: Action, prices: Prices, least: int) -> Iterator[Told]:
        """Have accounts ranked and closed at once, or in calls as small as may be; pay is rounded down."""
        sheets, accounts = [], action.args[2]
        least_of_call = MIN_RANKED if action.method == "submit" else 1
        cuts = range(0, len(accounts), least_of_call)
        for parts in ([accounts], [accounts[first : first + least_of_call] for first in cuts]):
            with self.system.fork_state():
                if not all(self.system.apply(_of(action, action.method, part)).ok for part in parts):
                    return
                if action.method == "submit":
                    for part in parts:
                        self.system.apply(_of(action, "execute", part))
                sheets.append(self.count(prices))
        yield from self._differ("to close at once, or in parts", sheets[0], sheets[1], least)

    def _by_another(self, kind: str, action: Action, prices: Prices, least: int) -> Iterator[Told]:
        """Have somebody else call: only what callers get may differ, and they get no more."""
        sheets = []
        for by in (action.sender, KEEPER):
            args = tuple(by if each == action.sender else each for each in action.args)
            if args != action.args:
                return
            with self.system.fork_state():
                if not self.system.apply(action._replace(sender=by)).ok:
                    says = f"{name_of(by)} cannot do what {name_of(action.sender)} can"
                    yield Told(f"{kind}: not for everybody", least // RAY, says, (act_text(action),))
                    return
                sheets.append(self.count(prices))
        for sheet in sheets:
            for who in (action.sender, KEEPER):
                sheet.pop(who, None)
        yield from self._differ(f"{kind} by one, or by another", sheets[0], sheets[1], least)

    def _differ(self, kind: str, one: Sheet, other: Sheet, least: int) -> Iterator[Told]:
        changes = {who: other.get(who, 0) - one.get(who, 0) for who in {*one, *other}}
        changes.pop(OUTSIDE, None)
        who = max(changes, key=lambda each: (abs(changes[each]), each), default="")
        if who and abs(changes[who]) > least:
            sort = "somebody" if who.startswith("0x") else who
            says = f"{name_of(who)} ends with {changes[who] / RAD:+,.2f}"
            yield Told(f"{kind}: {sort}", abs(changes[who]) // RAY, says)

    # -------------------------------------------------------------- must succeed

    def _ways_out(self, prices: Prices, known: Sheet, least: int) -> Iterator[Told]:
        """Have each take out what is free: it succeeds, and arrives to the wei that the books say."""
        for what, action, worth in self._owed():
            if worth * prices.coin <= least:
                continue
            with self.system.fork_state():
                outcome = self.system.apply(action)
                if not outcome.ok:
                    says = f"{worth / WAD:,.2f} cannot be had"
                    yield Told(f"{what} reverts ({outcome.reason})", worth, says, (act_text(action),))
                else:
                    has = self.count(prices)
                    # Cash of claims is handed out on the way.
                    less = {who: min(amount, has.get(who, 0)) for who, amount in known.items()}
                    had = {who: known[who] for who in less if not who.endswith(".Claims")}
                    less = {who: less[who] for who in had}
                    yield from self._differ(f"{what} is not what was owed", had, less, least)

    def _owed(self) -> Iterator[tuple[str, Action, int]]:
        args: tuple[Any, ...]
        contracts, now = self.contracts, self.system.timestamp
        for name in self.books.pools:
            pool = contracts[name]
            owners = {who for _, who in pool.requests} if pool.cooldown else set()
            for who in sorted(owners):
                shares = pool.maxRedeem("", who)
                if shares:
                    worth = pool.maxWithdraw("", who)
                    yield "to claim an exit", Action(name, "redeem", (shares, who, who), who), worth
            waits = pool.line[()].unsettled
            if waits < pool.line[()].collecting and now >= pool.matures_at(waits):
                worth = pool.batches[waits].units
                yield "to settle a batch in time", Action(name, "settle", (), KEEPER), 0 * worth
            if f"{name}.Claims" in contracts:
                series = contracts[f"{name}.Claims"]
                for who, cash in series.credits.items():
                    if cash:
                        args = who, series.state[()].generation
                        yield "to collect", Action(f"{name}.Claims", "collect", args, KEEPER), cash
        engine, coins = contracts["VaultEngine"], contracts["Stablecoin"].balances
        settling = bool(contracts["Settlement"].progress[()].begun_at)
        domains = {contracts[name].address for name in self.books.domains}
        for (c, who), vault in list(engine.vaults.items()):
            if who in domains or c >= len(self.books.symbols):
                continue
            debt = vault.normalized_debt * engine.debts[c].accumulated_rate
            if not vault.normalized_debt and vault.locked_collateral:
                args = c, who, 0, vault.locked_collateral, who
                worth = vault.locked_collateral * contracts["PriceFeed"].prices[c].current // RAY
                yield "to empty a vault", Action("VaultEngine", "repay_and_withdraw", args, who), worth
            elif vault.normalized_debt and not settling and coins[who] * RAY > 2 * debt:
                args = c, who, 2**128, vault.locked_collateral, who
                yield "to repay", Action("VaultEngine", "repay_and_withdraw", args, who), debt // RAY
        yield from self._owed_by_margin()
        settlement = contracts["Settlement"]
        if settlement.progress[()].fixed_at:
            for who, bag in settlement.bags.items():
                for c in range(len(self.books.symbols)):
                    left = bag - settlement.cashed[c, who]
                    if left:
                        yield "to cash", Action("Settlement", "cash", (c, left), who), left

    def _owed_by_cycles(self) -> Iterator[tuple[str, Action, int]]:
        """Yield what whoever has no lots and no unfinal gain may take out of the margin market."""
        market = self.contracts["PerpetualMarket"]
        self._wake_all()
        if market.late_table[()] or market.closing[()]:
            return
        free = max(0, market.holdings[()] - market.fee_table[()])
        for who in list(market.accounts):
            if who in self.books.parts:
                continue  # a pool's account: its members leave
            standing = market._standing(who)
            amount = min(free, standing.own - standing.haircut)
            if not market._has_lots(who) and not standing.unfinal and amount > 0:
                yield "to withdraw", Action("PerpetualMarket", "withdraw", (amount, who), who), amount

    def _owed_by_pool(self) -> Iterator[tuple[str, Action, int]]:
        """Yield what whoever is due may have of the backstop pool, at rest; once the market is up to date."""
        pool, market = self.contracts["PerpetualBackstop"], self.contracts["PerpetualMarket"]
        if market.late_table[()] or market.closing[()] or not pool._is_at_rest():
            return
        for batch, who, each in pool.waiting():
            if each.shares and pool._due_at(batch) <= self.system.timestamp:
                args = batch, who
                worth = pool.convertToAssets("", each.shares)
                yield "to leave the pool", Action("PerpetualBackstop", "leave", args, KEEPER), worth

    def _owed_by_margin(self) -> Iterator[tuple[str, Action, int]]:
        if "PerpetualMarket" in self.contracts:
            yield from self._owed_by_cycles()
        else:
            return
        if "PerpetualBackstop" in self.contracts:
            yield from self._owed_by_pool()
        fund = self.contracts["MarginFund"]
        now = self.system.timestamp // fund.length
        for who, bucket in list(fund.holdings):
            kept = fund.profit_of("", who, bucket)
            if kept and bucket + fund.bucket_count <= now:
                yield "to claim a profit", Action("MarginFund", "claim", (who, bucket), KEEPER), kept

    # ----------------------------------------------------------------- must fail

    def _ways_in(self, least: int) -> Iterator[Told]:
        """Have each try what nobody may."""
        for what, action, worth in self._forbidden():
            if worth * RAY > least and self.system.dry_run(action).ok:
                says = f"{worth / WAD:,.2f} are at stake"
                yield Told(f"possible: {what}", worth, says, (act_text(action),))

    def _forbidden(self) -> Iterator[tuple[str, Action, int]]:
        args: tuple[Any, ...]
        contracts, now = self.contracts, self.system.timestamp
        engine, feed = contracts["VaultEngine"], contracts["PriceFeed"]
        domains = {contracts[name].address for name in self.books.domains}
        settling = bool(contracts["Settlement"].progress[()].begun_at)
        thief = KEEPER
        for (c, who), vault in list(engine.vaults.items()):
            if who in domains or c >= len(self.books.symbols):
                continue
            price, locked = feed.prices[c].current, vault.locked_collateral
            worth = locked * price
            debt = vault.normalized_debt * engine.debts[c].accumulated_rate
            draw, pay = "deposit_and_draw", "repay_and_withdraw"
            if worth:
                args = c, who, 0, 3 * worth // RAY + 10 * WAD, who
                more = Action("VaultEngine", draw, args, who)
                yield "to draw more than the collateral is worth", more, 2 * worth // RAY
                if not vault.normalized_debt:
                    args = c, who, 0, locked, thief
                    yield "to empty a stranger's vault", Action("VaultEngine", pay, args, thief), worth // RAY
            if vault.normalized_debt:
                args = c, who, 0, locked, who
                yield (
                    "to take all collateral of a debt out",
                    Action("VaultEngine", pay, args, who),
                    debt // RAY,
                )
                safe = worth * BASIS_POINTS > 4 * debt * engine.terms[c].liquidation_ratio
                if safe and not vault.called_at:
                    args = c, who, thief
                    sell = Action("LiquidationEngine", "liquidate", args, thief)
                    yield "to liquidate what is worth four times its need", sell, debt // RAY
            if settling and worth:
                args = c, who, 0, worth // RAY // 10, who
                yield "to draw in settlement", Action("VaultEngine", draw, args, who), worth // RAY // 10
        auction = contracts["CollateralAuction"]
        coins = contracts["Stablecoin"].balances
        who_buys = max(coins, key=coins.__getitem__, default=KEEPER)
        for id, lot in list(auction.lots.items()):
            worth = lot.lot * feed.prices[lot.collateral_type].current // RAY
            if lot.target and worth > lot.target and not settling:
                close = Action("CollateralAuction", "close", (id,), thief)
                yield "to give up a lot that covers its debt", close, lot.target
            terms = auction._terms_of(lot)
            if lot.target and auction.clock(thief) > lot.started_at + terms.tail and not settling:
                args = id, 2**128, 2**200, who_buys, b""
                yield (
                    "to buy after an auction's time",
                    Action("CollateralAuction", "take", args, who_buys),
                    lot.target,
                )
            if lot.target and worth > lot.target and not settling and lot.started_at == auction.clock(thief):
                reset = Action("CollateralAuction", "reset", (id, thief), thief)
                yield "to start an auction again that has just begun", reset, lot.target
        for name in self.books.pools:
            yield from self._forbidden_in(name, thief)
        yield from self._forbidden_in_margin(thief)
        progress = contracts["Settlement"].progress[()]
        early = progress.announced_for == 0 or progress.announced_for > now
        if early and not any(engine.deficit.values()):
            yield "to begin settlement", Action("Settlement", "begin", (), thief), 10**6 * WAD
        if "Workouts" in contracts:
            workouts = contracts["Workouts"]
            for id, each in list(workouts.balances.items()):
                worth = each.lot * feed.prices[each.collateral_type].current // RAY
                schedule = workouts.schedules[id]
                if each.left and worth > 4 * each.left and now < schedule.entered_at + schedule.interval:
                    args = id, thief
                    call = Action("Workouts", "foreclose", args, thief)
                    yield "to foreclose what is paid in time", call, each.left

    def _forbidden_in(self, name: str, thief: str) -> Iterator[tuple[str, Action, int]]:
        args: tuple[Any, ...]
        pool = self.contracts[name]
        if pool.cooldown:
            for who in pool.holders():
                shares, free = pool.held(who), pool.maxRedeem("", who)
                args = free + shares, who, who
                yield "to leave without asking", Action(name, "redeem", args, who), shares
                args = shares, thief, who
                yield "to ask for another", Action(name, "requestRedeem", args, thief), shares
            collecting = pool.line[()].collecting
            since = pool.batches[collecting].since
            units = pool.units_of(collecting)
            if units and self.system.timestamp == since and pool.cooldown > 1:
                yield "to cut a batch that has just begun", Action(name, "cut", (), thief), units
            waits = pool.line[()].unsettled
            soon = pool.batches[waits].since + pool.cooldown // 2
            if waits < collecting and self.system.timestamp < soon < pool.settles_from():
                units = pool.batches[waits].units
                yield "to settle a batch too early", Action(name, "settle", (), thief), units
        for id, who in list(pool.requests):
            shares = pool.requests[id, who].shares
            if shares:
                yield "to claim another's exit", Action(name, "redeem", (1, thief, who), thief), shares

    def _forbidden_by_cycles(self, thief: str) -> Iterator[tuple[str, Action, int]]:
        market, desk = self.contracts["PerpetualMarket"], self.contracts["PerpetualDesk"]
        self._wake_all()
        clock, now = market.clocks[()], self.system.timestamp
        if now < clock.rolled_at + market.window and clock.booked_at:
            yield "to end a cycle too early", Action("PerpetualMarket", "roll", (), thief), 10**21
        for who in [each for each in market.accounts if each != market.address]:
            standing = market._standing(who)
            equity = standing.own - standing.haircut
            if equity > 0:
                more = equity + 200 * WAD
                take = Action("PerpetualMarket", "withdraw", (more, who), who)
                yield "to withdraw more than one has", take, more
                if standing.unfinal > 200 * WAD:
                    left = max(0, equity - standing.unfinal) + 200 * WAD
                    take = Action("PerpetualMarket", "withdraw", (left, who), who)
                    yield "to withdraw a gain that is not final", take, standing.unfinal
            if market._has_lots(who) and equity * BASIS_POINTS > 2 * max(desk._margins(who, False)):
                for m in range(4):
                    size = market.positions[who, m].size
                    if size:
                        args = who, m, abs(size)
                        take = Action("PerpetualDesk", "liquidate", args, _other(market, who))
                        yield "to take over a sound account", take, equity

    def _forbidden_in_margin(self, thief: str) -> Iterator[tuple[str, Action, int]]:
        if "PerpetualMarket" in self.contracts:
            with self.system.fork_state():
                yield from list(self._forbidden_by_cycles(thief))
        else:
            return
        fund = self.contracts["MarginFund"]
        now = self.system.timestamp // fund.length
        for who, bucket in list(fund.holdings):
            kept = fund.profit_of("", who, bucket)
            if kept and bucket == now:
                yield "to claim a profit at once", Action("MarginFund", "claim", (who, bucket), thief), kept


def _of(action: Action, method: str, accounts: tuple[str, ...]) -> Action:
    """Return a call of a closer for some of the accounts."""
    return action._replace(method=method, args=(*action.args[:2], accounts))


def _other(market: Any, who: str) -> str:
    """Return the account that could best take a position over."""
    found = [each for each in market.accounts if each != who] or [KEEPER]
    return str(max(found, key=lambda each: market.accounts[each].cash))

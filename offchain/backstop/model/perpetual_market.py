"""Perpetual markets in the stablecoin whose losses are borne by who gained while the price moved.

Cash of all accounts + bonds + pot + fees == held + late, to the wei. Amounts in wad, sizes in lots, prices in
wei a lot, margins in basis points x wei.
"""

from __future__ import annotations

from typing import NamedTuple, cast

from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, add, div_up, signed
from backstop.model.cycle_book import BOOKED, SEIZED, Account, Position, Standing, _in
from backstop.model.cycle_losses import CycleLosses
from backstop.model.interfaces import EMERGENCY, IDomain, IRiskPolicy, IVaultEngine, Takeover
from backstop.model.price_path import INTERVAL, PERIOD, Clock, Moves, Path, Sides
from backstop.model.state import ZERO_ADDRESS, World, external, immutable, require, view


class Wiring(NamedTuple):
    """The contracts that a market works with; the zero address for a risk policy or a domain is none."""

    vault_engine: str
    margin_policy: str
    risk_policy: str
    stablecoin: str
    margin_orders: str
    fund: str
    domain: str


class Rules(NamedTuple):
    """What never changes of a market's rules."""

    window: int  # seconds that a cycle is pending at least
    quiet: int  # seconds after the last booking
    mark_age: int  # seconds, of the oldest report that makes a mark
    band: int  # basis points that a trade may be from the mark
    maker_fee: int  # basis points of notional
    taker_fee: int  # basis points of notional
    fee_share: int  # basis points of a liquidator's reward that are insurance
    half_bond: int  # wad


class PerpetualMarket(CycleLosses):
    """See contracts/PerpetualMarket.vy."""

    KIND = "PerpetualMarket"

    vault_engine_address = immutable("VAULT_ENGINE", str)
    risk_policy_address = immutable("RISK_POLICY", str)
    margin_orders_address = immutable("MARGIN_ORDERS", str)
    # Bears what nobody else does, within its line.
    domain_address = immutable("DOMAIN", str)
    band = immutable("BAND", int)
    maker_fee = immutable("MAKER_FEE", int)
    taker_fee = immutable("TAKER_FEE", int)
    fee_share = immutable("FEE_SHARE", int)

    def __init__(self, world: World, name: str, address: str, wiring: Wiring, rules: Rules) -> None:
        wired, terms = Wiring(*wiring), Rules(*rules)
        super().__init__(
            world,
            name,
            address,
            wired.margin_policy,
            terms.mark_age,
            terms.half_bond,
            wired.stablecoin,
            wired.fund,
            terms.window,
            terms.quiet,
        )
        require(0 < terms.mark_age <= bounds.MAX_MARK_AGE, "perpetuals: mark bounds")
        require(terms.band <= bounds.MAX_BAND, "perpetuals: band bounds")
        require(max(terms.maker_fee, terms.taker_fee) <= bounds.MAX_TRADE_FEE, "perpetuals: fee bounds")
        require(terms.fee_share <= BASIS_POINTS, "perpetuals: share bounds")
        require(terms.half_bond <= bounds.MAX_HALF_BOND, "perpetuals: bond bounds")
        self.vault_engine_address = wired.vault_engine
        self.risk_policy_address = wired.risk_policy
        self.margin_orders_address = wired.margin_orders
        self.domain_address = wired.domain
        self.band = terms.band
        self.maker_fee = terms.maker_fee
        self.taker_fee = terms.taker_fee
        self.fee_share = terms.fee_share
        self.closing = self.table("closing_in")

    # ------------------------------------------------------------------- cash

    @external
    def deposit(self, sender: str, owner: str, amount: int) -> None:
        """Pay into an account: nothing stops it."""
        self._credit(owner, signed(amount))
        self.deposits[owner] = add(self.deposits[owner], amount)
        self.holdings[()] = add(self.holdings[()], amount)
        self.emit("Deposited", owner, sender, amount)
        self.stablecoin.transferFrom(self.address, sender, self.address, amount)

    @external
    def withdraw(self, sender: str, amount: int, receiver: str) -> int:
        """Take cash out; what goes beyond deposits is profit, which the fund holds until it has vested."""
        self._touch(sender)
        if self.closing[()] != 0:
            require(self.clocks[()].cycle >= self.closing[()] + 2, "perpetuals: losses are open")
            self._close_out(sender)
        self._credit(sender, -signed(amount))
        if self._holds(sender):
            self._check_mode()
            self._check_initial(sender)
        else:
            found = self._standing(sender)
            require(found.own - found.haircut >= found.unfinal, "perpetuals: more than it has")
        available = self.holdings[()] - min(self.holdings[()], self.fee_table[()])
        late = self.late_table[()]
        paid = amount
        if late != 0:
            paid = amount * available // (available + late)
            self.late_table[()] = late - (amount - paid)
        require(paid <= available, "perpetuals: not held")
        own = min(paid, self.deposits[sender])
        self.deposits[sender] = self.deposits[sender] - own
        self.holdings[()] = self.holdings[()] - paid
        self.emit("Withdrawn", sender, receiver, amount, own, paid - own)
        if own != 0:
            self.stablecoin.transfer(self.address, receiver, own)
        if paid != own:
            self.stablecoin.transfer(self.address, self.fund_address, paid - own)
            self.fund.lock(self.address, receiver, paid - own)
        return int(paid)

    @external
    def sweep(self, sender: str) -> None:
        """Hand fees over to the fund."""
        self._sweep()

    # ----------------------------------------------------------------- trades

    @external
    def trade(
        self,
        sender: str,
        market: int,
        maker: str,
        taker: str,
        delta: int,
        price: int,
        maker_reduces: bool,
        taker_reduces: bool,
    ) -> None:
        """Book a trade that both accounts have signed."""
        require(sender == self.margin_orders_address, "perpetuals: not orders")
        require(self.closing[()] == 0, "perpetuals: prices are final")
        require(market < self.policy.markets(self.address), "perpetuals: unknown market")
        require(0 < price <= bounds.MAX_LOT_PRICE, "perpetuals: price bounds")
        self._mark(market)
        mark = self.paths[market].price
        require(mark != 0, "perpetuals: no mark yet")
        require(abs(price - mark) * BASIS_POINTS <= self.band * mark, "perpetuals: outside the band")
        for owner in (maker, taker):
            self._touch(owner)
            self._check_solvent(owner)
        at = price - self._accrue(market)
        over = self._note_premium(market, abs(delta), price)
        before = self.opened[market]
        self._move(maker, market, delta, at)
        self._move(taker, market, -delta, at)
        if over != 0:
            better = taker if (over > 0) == (delta > 0) else maker
            self._charge(better, div_up(abs(delta * over) * INTERVAL, PERIOD))
        self._charge(maker, div_up(abs(delta) * price * self.maker_fee, BASIS_POINTS))
        self._charge(taker, div_up(abs(delta) * price * self.taker_fee, BASIS_POINTS))
        self._check_limit(market, before)
        self._check_side(maker, market, delta, price, maker_reduces)
        self._check_side(taker, market, -delta, price, taker_reduces)

    @external
    def take(self, sender: str, market: int, lots: int) -> None:
        """Take lots over from the market's own account, at the mark."""
        require(self.closing[()] == 0, "perpetuals: closes already")
        require(sender != self.address, "perpetuals: its own lots")
        self._touch(sender)
        self._touch(self.address)
        size = self.positions[self.address, market].size
        require(0 < lots <= abs(size), "perpetuals: not so many lots")
        require(self._mark(market), "perpetuals: no price for lots")
        self._check_solvent(sender)
        before = self.opened[market]
        price = self.paths[market].price
        delta = lots if size > 0 else -lots
        at = price - self._accrue(market)
        self._move(self.address, market, -delta, at)
        self._move(sender, market, delta, at)
        self._charge(sender, div_up(lots * price * self.taker_fee, BASIS_POINTS))
        self._check_limit(market, before)
        self._check_side(sender, market, delta, price, False)

    @external
    def accrue(self, sender: str, market: int) -> None:
        """Bring a market's mark and funding up to now."""
        require(market < self.policy.markets(self.address), "perpetuals: no such market")
        if self.closing[()] == 0:
            self._mark(market)
            self._accrue(market)

    # ----------------------------------------------------------------- losses

    @external
    def liquidate(self, sender: str, owner: str, market: int, lots: int) -> int:
        """Take over lots of an account that is under its maintenance margin; the reward."""
        require(owner != sender, "perpetuals: own account")
        require(owner != self.address, "perpetuals: take them")
        require(self.closing[()] == 0, "perpetuals: is closing")
        self._touch(owner)
        self._touch(sender)
        size = self.positions[owner, market].size
        require(0 < lots <= abs(size), "perpetuals: not that many")
        require(self._mark_all(owner), "perpetuals: no price of now")
        found = self._standing(owner)
        equity = found.own - found.haircut
        require(equity >= 0, "perpetuals: meet it")
        initial, maintenance = self._margins(owner, False)
        require(equity * BASIS_POINTS < maintenance, "perpetuals: safe account")
        price = self.paths[market].price
        at = price - self._accrue(market)
        reward = self.policy.reward(
            self.address, Takeover(market, abs(size), lots, price, equity, initial, maintenance)
        )
        fee = reward * self.fee_share // BASIS_POINTS
        delta = -lots if size > 0 else lots
        self._move(owner, market, delta, at)
        self._move(sender, market, -delta, at)
        self._credit(owner, -reward)
        self._credit(sender, reward - fee)
        self.fee_table[()] = self.fee_table[()] + fee
        self._check_side(sender, market, -delta, price, False)
        self.emit("Liquidated", owner, sender, market, lots, price, reward, fee)
        return reward

    @external
    def meet(self, sender: str, owner: str) -> None:
        """Take over the positions of an account that owes, and book what it lacks of the pending cycle."""
        self._touch(owner)
        seized = self._seize(owner, sender)
        booked = self._book(owner)
        if booked:
            self._pay_half(owner, BOOKED, sender)
        require(seized or booked, "perpetuals: nothing to do")

    @external
    def wake(self, sender: str, owner: str) -> None:
        """Bring an account that has slept for long up to now, as far as one call may."""
        self._wake(owner)

    @external
    def roll(self, sender: str) -> None:
        """Make the pending cycle final, the open one pending, and open the next."""
        self._roll()

    @external
    def post_shortfall(self, sender: str) -> int:
        """Have the protocol bear what is late, as far as its line allows; how much."""
        late = self.late_table[()]
        require(late != 0 and self.domain_address != ZERO_ADDRESS, "perpetuals: nothing to post")
        domain = cast(IDomain, self.world.at(self.domain_address))
        posted = domain.lose(self.address, late, self.address)
        self.late_table[()] = late - posted
        self.holdings[()] = self.holdings[()] + posted
        self.emit("ShortfallPosted", posted)
        return posted

    # ------------------------------------------------------------- settlement

    @external
    def begin_close(self, sender: str) -> None:
        """Mark all markets at their final prices for good, in settlement of the protocol."""
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        require(engine.in_settlement(self.address), "perpetuals: no settlement")
        require(self.closing[()] == 0, "perpetuals: closes once")
        for market in range(self.policy.markets(self.address)):
            price = self.policy.final_price(self.address, market)
            require(price != 0, "perpetuals: no final price")
            self._stop_funding(market)
            self._walk(market, price)
        self.closing[()] = self.clocks[()].cycle
        self.emit("ClosingBegun", self.world.timestamp)

    @external
    def close_out(self, sender: str, owner: str) -> None:
        """Close all positions of an account at the final prices, against the market's own account."""
        require(self.closing[()] != 0, "perpetuals: not closing")
        self._touch(owner)
        self._close_out(owner)

    # ------------------------------------------------------------------ views

    @view
    def standing_of(self, sender: str, owner: str) -> Standing:
        """Return what an account has at the last marks, as of the cycle that it is in."""
        return self._standing(owner)

    @view
    def account_of(self, sender: str, owner: str) -> Account:
        """Return an account as it was touched last."""
        return cast(Account, self.accounts[owner])

    @view
    def position_of(self, sender: str, owner: str, market: int) -> Position:
        """Size, and value when the cycle began plus what trades paid since."""
        return cast(Position, self.positions[owner, market])

    @view
    def pending_of(self, sender: str, owner: str, market: int) -> tuple[Sides, Sides, Sides]:
        """Return gains, losses and what was booked of the pending cycle."""
        key = owner, market
        return self.pending_gained[key], self.pending_lost[key], self.booked[key]

    @view
    def clock_of(self, sender: str) -> Clock:
        """Return the open cycle and its times."""
        return cast(Clock, self.clocks[()])

    @view
    def path_of(self, sender: str, market: int) -> tuple[Path, Moves, int]:
        """Return a market's mark and path, its moves, and its open lots."""
        return self.paths[market], self.moves[market], self.opened[market]

    @view
    def cycle_of(self, sender: str, market: int, cycle: int) -> tuple[Sides, Sides]:
        """Return what the sides of a market gained in a cycle, and what they bear of its losses."""
        return self.totals[market, cycle], self.losses[market, cycle]

    @view
    def closing_in(self, sender: str) -> int:
        """Return the cycle in which the prices became final; 0 is not yet."""
        return int(self.closing[()])

    @view
    def held(self, sender: str) -> int:
        """Return the stablecoin that accounts brought in or others paid [wad]."""
        return int(self.holdings[()])

    @view
    def fees(self, sender: str) -> int:
        """Return what the fund has not collected [wad]."""
        return int(self.fee_table[()])

    @view
    def late(self, sender: str) -> int:
        """Return the losses that nobody has paid [wad]."""
        return int(self.late_table[()])

    @view
    def paid_in(self, sender: str, owner: str) -> int:
        """Return deposits less what was withdrawn of them or lost [wad]."""
        return int(self.deposits[owner])

    # ---------------------------------------------------------------- helpers

    def _seize(self, owner: str, finder: str) -> bool:
        """Move the positions of an account that owes to the market's own, at marks of now, if there are."""
        if owner == self.address or not self._holds(owner):
            return False
        if self.closing[()] != 0 or not self._mark_all(owner):
            return False
        found = self._standing(owner)
        if found.own >= found.haircut:
            return False
        self._touch(self.address)
        self._close_out(owner)
        self._pay_half(owner, SEIZED, finder)
        self.emit("Seized", owner, finder)
        return True

    def _close_out(self, owner: str) -> None:
        """Move all positions of a touched account to the market's own, at the marks."""
        self._touch(self.address)
        if owner == self.address:
            return
        for market in _in(self.accounts[owner].markets):
            size = self.positions[owner, market].size
            if size != 0:
                at = self._level(market)
                self._move(owner, market, -size, at)
                self._move(self.address, market, size, at)

    def _holds(self, owner: str) -> bool:
        """Tell whether an account has a position."""
        return any(self.positions[owner, market].size for market in _in(self.accounts[owner].markets))

    def _mark_all(self, owner: str) -> bool:
        """Mark all markets that an account has positions in; tell whether all have a price of now."""
        fresh = True
        for market in _in(self.accounts[owner].markets):
            if self.positions[owner, market].size != 0:
                fresh = self._mark(market) and fresh
        return fresh

    def _charge(self, owner: str, fee: int) -> None:
        """Have an account pay a fee, for the insurance."""
        if fee != 0:
            self._credit(owner, -fee)
            self.fee_table[()] = self.fee_table[()] + fee

    def _margins(self, owner: str, risk: bool) -> tuple[int, int]:
        """Return the initial and the maintenance margin of an account at the marks [basis points x wei]."""
        initial = maintenance = 0
        for market in _in(self.accounts[owner].markets):
            size = self.positions[owner, market].size
            if size != 0:
                price, open = self.paths[market].price, self.opened[market]
                needs = self.policy.needs_at(self.address, market, size, price, open, risk)
                initial += needs.initial
                maintenance += needs.maintenance
        return initial, maintenance

    def _check_limit(self, market: int, before: int) -> None:
        limit = self.policy.open_limit(self.address, market)
        require(self.opened[market] <= max(before, limit), "perpetuals: open limit")

    def _check_solvent(self, owner: str) -> None:
        found = self._standing(owner)
        require(found.own >= found.haircut, "perpetuals: owes, only pays in")

    def _check_side(self, owner: str, market: int, delta: int, price: int, only_reduce: bool) -> None:
        """Revert unless an account may do what it has just done."""
        old = self.positions[owner, market].size - delta
        if old > 0 > delta >= -old or old < 0 < delta <= -old:
            self._check_reduced(owner, market, delta, price)
        else:
            require(not only_reduce, "perpetuals: would not reduce")
            self._check_mode()
            self._check_initial(owner)

    def _check_initial(self, owner: str) -> None:
        """Revert unless margin without any gain that is not final covers all positions at marks of now."""
        require(self._mark_all(owner), "perpetuals: no price for risk")
        found = self._standing(owner)
        equity = found.own - found.haircut - found.unfinal
        require(equity * BASIS_POINTS >= self._margins(owner, True)[0], "perpetuals: initial margin")

    def _check_reduced(self, owner: str, market: int, delta: int, price: int) -> None:
        """Solvent, no further below maintenance than before, and no gain given away that is not final."""
        found = self._standing(owner)
        equity = found.own - found.haircut
        require(equity >= 0, "perpetuals: insolvent")
        mark, size = self.paths[market].price, self.positions[owner, market].size
        gained = delta * (mark - price)
        if equity * BASIS_POINTS < self._margins(owner, False)[1]:
            needed = self.policy.maintenance(self.address, market, abs(size - delta) * mark)
            relieved = needed - self.policy.maintenance(self.address, market, abs(size) * mark)
            require(gained * BASIS_POINTS + relieved >= 0, "perpetuals: margin would fall")
        require(gained >= 0 or equity >= found.unfinal, "perpetuals: gains are not final")

    def _check_mode(self) -> None:
        engine = cast(IVaultEngine, self.world.at(self.vault_engine_address))
        if self.risk_policy_address != ZERO_ADDRESS:
            policy = cast(IRiskPolicy, self.world.at(engine.risk_policy(self.address)))
            require(policy.mode(self.address) < EMERGENCY, "perpetuals: emergency")
        require(not engine.in_settlement(self.address), "perpetuals: in settlement")

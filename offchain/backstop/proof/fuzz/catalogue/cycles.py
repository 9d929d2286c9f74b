"""Traders of the margin market: marks that leap and turn, trades, debtors, rolls, the end."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from backstop.deployment.devnet_signing import get_owner_name, get_trader_account, sign_order
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAY
from backstop.model.interfaces import EMERGENCY
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.margin_policy import MarginPolicy
from backstop.model.perpetual_desk import PerpetualDesk
from backstop.model.perpetual_market import PerpetualMarket
from backstop.proof.fuzz.catalogue.prices import report_all, settle_price
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

_MARKET, _DESK = "PerpetualMarket", "PerpetualDesk"
_NAMES = (*(f"trader_{i}" for i in range(5)), "trader_0#1", "trader_1#255")
TRADERS = tuple(map(get_trader_account, _NAMES))
"""Accounts; some people have two."""
# With three more, who trade where somebody fails: they hold little else, and are free for it.
NAMES = {get_trader_account(name): name for name in (*_NAMES, "trader_5", "trader_6", "trader_7")}
CROWD = tuple(NAMES)
_HERD_NAMES = {get_trader_account(f"trader_2#{i}"): f"trader_2#{i}" for i in range(1, 2 * bounds.MIN_RANKED)}
HERD = tuple(_HERD_NAMES)
"""More accounts than a call of a ranking has at least, of one person, who uses them for nothing else."""
_SIGNERS = NAMES | _HERD_NAMES
OWNERS = {owner: get_trader_account(get_owner_name(name)) for owner, name in _SIGNERS.items()}
"""Whose they are: who calls for them."""


class Books:
    """The market as a move looks at it."""

    def __init__(self, s: Scene) -> None:
        self.s = s
        contracts = s.world.contracts
        self.market = cast(PerpetualMarket, contracts[_MARKET])
        self.desk = cast(PerpetualDesk, contracts[_DESK])
        self.policy = cast(MarginPolicy, contracts["MarginPolicy"])
        self.markets = range(self.policy.count[()])

    def equity(self, owner: str) -> int:
        """Return what an account has less the haircuts known, as of the cycle that it is in [wei]."""
        found = self.market._standing(owner)
        return found.own - found.haircut

    def haircut(self, owner: str) -> int:
        """Return the haircuts of an account, as they are known [wei]."""
        return int(self.market._standing(owner).haircut)

    def margins(self, owner: str) -> tuple[int, int]:
        """Return initial and maintenance margin [basis points x wei]."""
        return self.desk._margins(owner, False)

    def size(self, owner: str, m: int) -> int:
        return int(self.market.positions[owner, m].size)

    def holders(self) -> list[str]:
        """Return who has a position."""
        return [owner for owner in CROWD if self.market._has_lots(owner)]

    def held(self, owner: str) -> list[int]:
        """Return the markets in which an account has lots."""
        return [m for m in self.markets if self.size(owner, m)]

    def spare(self, owner: str) -> int:
        """Return what new risk may need at most: without gains that are not final [basis points x wei]."""
        found = self.market._standing(owner)
        equity = found.own - found.haircut - found.unfinal
        return max(0, equity * BASIS_POINTS - self.desk._margins(owner, True)[0])

    def most_lots(self, owner: str, m: int, way: int, room: int) -> int:
        """Return how many lots more of new risk an account's margin bears, at a taker's fee."""
        spare, size, price = self.spare(owner), self.size(owner, m), self.price(m)
        if not size:
            spare -= 3 * self.market.third_bond * BASIS_POINTS
        others = max(self.market.lots[m]) - abs(size)

        def needs(lots: int) -> int:
            open = others + max(abs(lots), abs(size))
            return int(self.policy.needs_at("", m, lots, price, open, True).initial)

        now, least = needs(size), 0
        most = max(0, min(room, spare // max(1, int(self.policy.terms[m].initial) * price)))
        while least < most:
            lots = (least + most + 1) // 2
            if needs(size + way * lots) - now + lots * price * self.desk.taker_fee <= spare:
                least = lots
            else:
                most = lots - 1
        return least

    def moved(self, owner: str, m: int, loss: int) -> int:
        """Return the price at which an account has lost so much by a market, at what its lots move by."""
        size = self.size(owner, m)
        mine, others = self.market.lots[m] if size > 0 else reversed(self.market.lots[m])
        move = -(-loss // abs(size)) * mine // max(1, min(mine, others))
        return max(1, self.price(m) - (move if size > 0 else -move))

    def debtors(self) -> list[str]:
        """Return who has less than nothing, and lots; at times who has none left as well."""
        owing = [owner for owner in CROWD if self.equity(owner) < 0]
        return [owner for owner in owing if self.market._has_lots(owner) or self.s.chance(0.05)]

    def weak(self) -> list[str]:
        """Return who is solvent, and under its maintenance margin."""
        found = []
        for owner in self.holders():
            equity = self.equity(owner)
            if 0 <= equity * BASIS_POINTS < self.margins(owner)[1]:
                found.append(owner)
        return found

    def price(self, m: int) -> int:
        """Return the mark [wei a lot]."""
        return int(self.market.paths[m].price)

    def index(self, m: int) -> int:
        """Return the funding index of now [wei a lot]."""
        funding = self.market.fundings[m]
        return int(funding.level + self.market._due(funding))

    def nobodys(self, m: int) -> int:
        """Return the lots that were taken from debtors; above zero if they were long."""
        long, short = self.market.lots[m]
        return int(short - long)

    @property
    def closing(self) -> bool:
        return bool(self.market.closing[()])

    def ended(self, m: int) -> bool:
        """Return whether a market has made its last move."""
        return bool(self.market.clocks[()].ended >> m & 1)

    def report(self, m: int, price: int, *, is_steady: bool = False) -> Iterator[Action | Wait]:
        """Yield a report of one lot price by each reporter of a market.

        A steady price has had no other in its range for as long as a mark can be old.
        """
        base = self.policy.underlyings[m]
        yield from report_all(self.s, base.feed, -(-price * RAY // base.lot), is_steady=is_steady)

    def refresh(self, markets: Sequence[int]) -> Iterator[Action | Wait]:
        """Have marks be of now: as they are, or what the feed says of a market that has none yet."""
        for m in markets:
            base = self.policy.underlyings[m]
            price = self.price(m) or max(1, self.s.published(base.feed) * base.lot // RAY)
            if self.market.policy.mark_price(self.market.address, m, self.market.mark_age) != price:
                yield from self.report(m, price, is_steady=True)

    def join_index(self, m: int) -> Iterator[Action | Wait]:
        """Yield reports and pokes until the feed's price is the market's mark, and the mark is current."""
        base = self.policy.underlyings[m]
        if price := self.price(m):
            yield from settle_price(self.s, base.feed, -(-price * RAY // base.lot))
        yield from self.refresh([m])
        if not price:
            yield self.s.call(_MARKET, "accrue", m, by=self.s.somebody())

    def insure(self, m: int) -> Iterator[Action | Wait]:
        """Yield a payment into insurance by the richest person, if insurance covers no further lot."""
        if self.policy.underlyings[m].insured and not self.insurable(m):
            s, who = self.s, self.s.richest()
            yield s.call("MarginFund", "set_cap", s.some((10**6, 10**6, 10**4)), by=s.admin)
            yield s.call("MarginFund", "insure", s.held("Stablecoin", who) // s.some((20, 500)), by=who)

    def insurable(self, m: int) -> int:
        """Return the lots that may be opened with the insurance that there is."""
        left = self.market.fund.spendable("") * BASIS_POINTS
        for each in self.markets:
            if self.market.clocks[()].ended >> each & 1:
                continue
            left -= self.desk._open(each) * self.price(each) * self.policy.underlyings[each].insured
        share = self.price(m) * self.policy.underlyings[m].insured
        return int(max(0, left) // share) if share else bounds.MAX_OPEN_LOTS

    def calm(self) -> bool:
        """Return whether anybody may take risk."""
        calm = self.s.policy is None or self.s.policy.mode("") < EMERGENCY
        return calm and not self.s.settling


def books_of(s: Scene) -> Books | None:
    return Books(s) if _MARKET in s.world.contracts else None


def named(s: Scene, account: str) -> tuple[str, ...]:
    """Return the last argument of a call for an account, which may be left out for the caller's own."""
    return () if OWNERS[account] == account and s.chance(0.8) else (account,)


def _withdraw(s: Scene, amount: int, account: str) -> Action:
    """Take out of an account; at times somebody tries whose it is not."""
    by = OWNERS[account] if s.chance(0.97) else s.some(TRADERS)
    said: tuple[object, ...] = named(s, account) if by == account else (account,)
    if s.chance(0.2):
        # At times more than is paid while something is late.
        said = (account, s.some((amount, amount * 9 // 10, amount + 1)))
    return s.call(_MARKET, "withdraw", amount, s.somebody(), *said, by=by)


@move(weight=3, of_traders=True)
def mark_perpetuals(s: Scene) -> Iterator[Action | Wait]:
    """Move a mark: a little, just as far as a turn, far, or back; at times too few report, or too early."""
    books = books_of(s)
    if books is None:
        return
    m = s.some(books.markets)
    path, price = books.market.paths[m], books.price(m)
    if price == 0:
        yield from books.refresh([m])
    else:
        turn = books.policy.maintenance("", m, price) // (4 * BASIS_POINTS)
        level = path.extreme + books.index(m)
        leap = price * s.random.randint(5_000, 19_000) // BASIS_POINTS
        little = price * s.random.randint(9_900, 10_100) // BASIS_POINTS
        target = s.some((little, little, little, leap, level - turn, level + turn, level + s.some((-1, 1))))
        yield from books.report(m, max(1, target))
    if s.chance(0.1):
        yield Wait(s.some((books.market.mark_age, books.market.mark_age + 1)))
    yield s.call(_MARKET, "accrue", m, by=s.somebody())


@move(weight=2, of_traders=True)
def pay_into_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Pay in of what somebody holds, for any trader; for one that owes as well."""
    books = books_of(s)
    if books is None:
        return
    who, owner = s.richest(), s.some(TRADERS)
    if books.equity(owner) > 0 and s.chance(0.5):
        return
    held = s.held("Stablecoin", who)
    yield s.call(_MARKET, "deposit", owner, s.near(held // 20, held // 3), by=who)


@move(weight=2, of_traders=True)
def take_out_of_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Take out all that margins and gains leave, a wei more, or a part; more may be late than is held."""
    books = books_of(s)
    if books is not None:
        yield from take_out(s, books, s.some(TRADERS))


def take_out(s: Scene, books: Books, owner: str) -> Iterator[Action | Wait]:
    """Wake an account and take out what it may, about."""
    yield s.call(_MARKET, "wake", owner, by=s.somebody())
    if books.market._has_lots(owner) and s.chance(0.9):
        yield from books.refresh(books.held(owner))
    spare = _spare_cash(books, owner)
    if spare <= 0 and s.chance(0.9):
        return
    yield _withdraw(s, s.near(max(spare, 0)), owner)


def _spare_cash(books: Books, owner: str) -> int:
    """Return what margins and gains that are not final leave of an account [wei]."""
    standing = books.market._standing(owner)
    spare = standing.own - standing.haircut - standing.unfinal
    if books.market._has_lots(owner):
        spare -= books.desk._margins(owner, True)[0] // BASIS_POINTS
    return spare


def take_profits_apart(s: Scene, books: Books) -> Iterator[Action | Wait]:
    """Take profits out in two parts, a bucket apart, so that two buckets have not vested."""
    for part in (2, 1):
        for owner in TRADERS:
            if books.equity(owner) <= 0:
                continue
            if books.market._has_lots(owner):
                yield from books.refresh(books.held(owner))
            yield s.call(_MARKET, "wake", owner, by=s.somebody())
            deposit, spare = int(books.market.deposits[owner]), _spare_cash(books, owner)
            if spare > deposit:
                yield _withdraw(s, deposit + (spare - deposit) // part, owner)
        if part == 2:
            yield Wait(cast(MarginFund, s.world.contracts["MarginFund"]).length)


@move(weight=9, of_traders=True)
def trade_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Match two traders around the mark, up to what their margins bear; out of positions, or through them."""
    books = books_of(s)
    if books is None:
        return
    maker, taker = s.random.sample(TRADERS, 2)
    listed = [m for m in books.markets if not books.policy.underlyings[m].ends_at]
    m = s.some(listed if listed and s.chance(0.9) else books.markets)
    if books.ended(m) and s.chance(0.9):
        return
    opposite = [(a, b) for a in TRADERS for b in TRADERS if books.size(a, m) > 0 > books.size(b, m)]
    leaving = m not in listed and bool(opposite)
    if leaving:
        # Only who reduces trades in it, on both sides.
        maker, taker = s.some(opposite)
    concerned = {m, *books.held(maker), *books.held(taker)}
    if s.chance(0.9):
        yield from books.refresh(sorted(concerned))
    price = books.price(m) or 1
    size = books.size(maker, m)
    if leaving:
        lots = -s.near(min(size, -books.size(taker, m)))
    elif size and s.chance(0.35):
        lots = -s.near(size) if size > 0 else s.near(-size)
    elif not books.calm() and s.chance(0.95):
        return
    else:
        for owner in (maker, taker):
            if not books.spare(owner) and books.equity(owner) >= 0:
                who = s.richest()
                yield s.call(_MARKET, "deposit", owner, s.held("Stablecoin", who) // 10, by=who)
        terms = books.policy.terms[m]
        needed = (terms.initial + terms.account_rate_1 + terms.market_rate_1) * price
        most = min(books.spare(maker), books.spare(taker)) // needed
        most = min(most, max(1, int(books.policy.underlyings[m].open_limit - books.market._open(m))))
        way = s.some((1, -1))
        if books.policy.underlyings[m].insured:
            if s.chance(0.7):
                yield from books.insure(m)
            room = books.insurable(m)
            # Exactly what is insured, or a lot more, where margins bear that.
            most = min(most, s.some((room, room + 1, room + 1 + room // 8)))
            lots = most * way
        else:
            lots = s.some((s.near(most), most * 9 // 10, most * 9 // 10)) * way
            if s.chance(0.2):
                # Just what the margin of one of them bears, by brackets of accounts and of the market.
                room = max(1, int(books.policy.underlyings[m].open_limit - books.market._open(m)))
                most = books.most_lots(*s.some(((maker, m, way), (taker, m, -way))), room)
                lots = s.some((most, s.near(most))) * way
    if lots == 0 and s.chance(0.97):
        return
    if s.chance(0.3):
        band = books.desk.band
        off = s.some((band, -band, band + 1, s.random.randint(-band, band)))
        price = max(1, price * (BASIS_POINTS + off) // BASIS_POINTS)
    if s.chance(0.01):
        price = s.some((0, bounds.MAX_LOT_PRICE + 1))
    yield from fill(s, books, (maker, taker), m, lots, price)
    insured = [each for each in listed if books.policy.underlyings[each].insured]
    if len(insured) > 1 and m in insured and s.chance(0.5):
        # The same insurance, which may be used up.
        other = s.some(insured)
        yield from books.refresh([other])
        few = s.near(1 + books.insurable(other)) if s.chance(0.5) else s.some((1, 10))
        way = 1 if books.size(maker, other) >= 0 else -1
        yield from fill(s, books, (maker, taker), other, way * few, books.price(other) or 1)


def fill(
    s: Scene, books: Books, sides: tuple[str, str], m: int, lots: int, price: int
) -> Iterator[Action | Wait]:
    """Sign for both, the maker first, and match them."""
    orders = cast(MarginOrders, s.world.contracts["MarginOrders"])
    first = s.random.getrandbits(40)
    nonces, expiry, size = (first, first + 1), s.now + 3_600, lots
    if s.chance(0.12):
        # At an edge of what may be matched: as early, as late, and as much as both orders let it.
        floor, signed_at = int(orders.floors[sides[0]]), (s.now + 1) * 10**9
        above = min(MAX_UINT256, max(floor, int(orders.floors[sides[1]])) + 1)
        edges = ((first, first), (first + 1, first), (first, signed_at - 1), (first, signed_at))
        nonces = s.some((*edges, (floor, above), (max(0, floor - 1), above)))
        expiry = s.some((expiry, s.now, s.now - 1))
        size = lots * s.some((1, 2, 3))
    args: list[object] = []
    # The second offers more at times: what is too much stays its own.
    more = s.some((0, 0, 1, price // 1_000)) * (-1 if lots > 0 else 1)
    limits = price, max(0, price + more)
    for owner, signed, limit, nonce in zip(sides, (size, -size), limits, nonces, strict=True):
        order = Order(owner, m, signed, limit, expiry, nonce, s.chance(0.03))
        args += [order, sign_order(_SIGNERS[owner], order, s.world.chain_id, orders.address)]
    yield s.call("MarginOrders", "fill", *args, abs(lots), by=s.somebody())
    if size != lots:
        # What is left of both orders, or a lot more.
        yield s.call("MarginOrders", "fill", *args, abs(size - lots) + s.some((0, 1)), by=s.somebody())


def lose_late(s: Scene, books: Books) -> Iterator[Action | Wait]:
    """Let cycles pass before anybody meets those who owe, and leave meanwhile."""
    window = books.market.window
    for _ in range(s.random.randint(1, 3)):
        yield Wait(4 * window)
        yield s.call(_MARKET, "roll", by=s.somebody())
    if s.chance(0.3):
        yield from take_profits_apart(s, books)
    soon = s.chance(0.4)
    if soon:
        yield Wait(window)
    for owner in books.debtors():
        yield from books.refresh(books.held(owner))
        yield s.call(_MARKET, "meet", owner, by=s.somebody())
    if soon:
        # Whatever was booked, before it was quiet.
        yield s.call(_MARKET, "roll", by=s.somebody())
    if books.market.late_table[()]:
        rich = [o for o in TRADERS if books.equity(o) > 0]
        for owner in rich[:2]:
            standing = books.market._standing(owner)
            most = standing.own - standing.haircut - standing.unfinal
            if most > 0 and not books.market._has_lots(owner):
                yield _withdraw(s, s.near(most), owner)
        if s.chance(0.5):
            yield s.call(_MARKET, "post_shortfall", by=s.somebody())


@move(weight=4, of_traders=True)
def meet_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Meet those who owe in any order, twice; at times somebody who does not, or without marks of now."""
    books = books_of(s)
    if books is None:
        return
    found = [*books.debtors(), *s.random.sample(TRADERS, s.random.randint(0, 1))]
    s.random.shuffle(found)
    if s.chance(0.85):
        yield from books.refresh(sorted({m for owner in found for m in books.held(owner)}))
    met = (*found, *(found if s.chance(0.3) else ()))
    if s.chance(0.4):
        # All in one call, at times with somebody whom another has met a moment before.
        if met and s.chance(0.2):
            yield s.call(_MARKET, "meet", s.some(met), by=s.somebody())
        yield s.call(_MARKET, "meet_all", met, by=s.some((s.somebody(), s.some(TRADERS))))
        return
    for owner in met:
        yield s.call(_MARKET, "meet", owner, by=s.some((s.somebody(), s.some(TRADERS))))


@move(weight=3, of_traders=True)
def roll_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Roll, mostly when it may be; a second or a quiet time before; or often, so that somebody sleeps."""
    books = books_of(s)
    if books is None:
        return
    clock, market = books.market.clocks[()], books.market
    soonest = min(
        max(clock.rolled_at + market.window, clock.booked_at + market.quiet),
        clock.rolled_at + 4 * market.window,
    )
    if s.chance(0.1):
        # Whatever was booked since.
        soonest = clock.rolled_at + market.window
    yield Wait(max(0, soonest - s.now - (s.chance(0.05))))
    yield s.call(_MARKET, "roll", by=s.somebody())
    for _ in range(s.some((0, 0, 0, 0, 1, 2, 5))):
        yield Wait(s.some((market.window, 4 * market.window)))
        yield s.call(_MARKET, "roll", by=s.somebody())


@move(weight=3, of_traders=True)
def take_lots_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Take lots over from nobody: who has the other side, or anybody; at times too many."""
    books = books_of(s)
    if books is None:
        return
    left = [m for m in books.markets if books.nobodys(m)]
    if not left and s.chance(0.97):
        return
    m = s.some(left or list(books.markets))
    size = books.nobodys(m)
    others = [owner for owner in TRADERS if books.size(owner, m) * size < 0]
    by = s.some(others if others and s.chance(0.6) else TRADERS)
    if s.chance(0.9):
        yield from books.refresh(sorted({m, *books.held(by)}))
    least = abs(books.size(by, m)) if by in others else abs(size)
    lots = s.near(abs(size), min(abs(size), least))
    yield s.call(_DESK, "take", m, lots, *named(s, by), by=OWNERS[by])


@move(weight=3, of_traders=True)
def liquidate_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Take over from a trader short of margin, at times because more is asked for now; or from another."""
    books = books_of(s)
    if books is None:
        return
    weak, holders = books.weak(), books.holders()
    if not weak and holders and s.chance(0.8):
        owner = s.some(holders)
        m = s.some(books.held(owner))
        notional = sum(abs(books.size(owner, each)) * books.price(each) for each in books.held(owner))
        ratio = max(books.equity(owner), 0) * BASIS_POINTS // max(1, notional) + s.some((1, 50, 500))
        if bounds.MIN_MARGIN <= ratio < bounds.MAX_MARGIN:
            terms = books.policy.terms_of("", m)._replace(initial=ratio + 1, maintenance=ratio)
            yield s.call("MarginPolicy", "set_terms", m, terms, by=s.admin)
        weak = books.weak()
    if not weak and s.chance(0.95):
        return
    owner = s.some(weak or TRADERS)
    by = s.some([each for each in TRADERS if each != owner or s.chance(0.03)])
    m = s.some(books.held(owner) or [0])
    if s.chance(0.9):
        yield from books.refresh(sorted({*books.held(owner), *books.held(by)}))
    if owner in NAMES and books.size(owner, m) and owner != by and s.chance(0.3):
        # Out of a crumb of it, as badly as the band lets it.
        lots = max(1, abs(books.size(owner, m)) // 1_000) * (-1 if books.size(owner, m) > 0 else 1)
        off = -books.desk.band if lots < 0 else books.desk.band
        price = max(1, books.price(m) * (BASIS_POINTS + off) // BASIS_POINTS)
        yield from fill(s, books, (owner, by), m, lots, price)
    if s.chance(0.6):
        rich = s.richest()
        yield s.call(_MARKET, "deposit", by, s.held("Stablecoin", rich) // 4, by=rich)
    lots = s.near(abs(books.size(owner, m)))
    for part in (lots, max(1, lots // 3), max(1, lots // 10)):
        yield s.call(_DESK, "liquidate", owner, m, part, *named(s, by), by=OWNERS[by])


@move(weight=2, of_traders=True)
def crank_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Wake, sweep, post, look at risk, insure, claim profits; or call what only another contract may."""
    books = books_of(s)
    if books is None:
        return
    fund, by = cast(MarginFund, s.world.contracts["MarginFund"]), s.somebody()
    owner, m = s.some(TRADERS), int(s.random.random() * (len(books.markets) + 0.1))
    kind = s.random.randrange(9)
    if kind == 0:
        yield s.call(_MARKET, "wake", owner, by=by)
    elif kind == 1:
        yield s.call(_MARKET, "sweep", by=by)
    elif kind == 2:
        yield s.call(_MARKET, "post_shortfall", by=by)
    elif kind == 3:
        if s.chance(0.7):
            yield from books.refresh(books.held(owner))
        yield s.call(_DESK, "check_risk", owner, by=by)
    elif kind == 4:
        who = s.richest()
        yield s.call("MarginFund", "insure", s.near(s.held("Stablecoin", who) // 50), by=who)
    elif kind == 5 and fund.holdings:
        left = [key for key, holding in fund.holdings.items() if holding.shares]
        whose, bucket = s.some(left or list(fund.holdings))
        vested = (bucket + fund.bucket_count) * fund.length
        if s.chance(0.5) and vested > s.now:
            yield Wait(vested - s.now - s.some((0, 1)))
        yield s.call("MarginFund", "claim", whose, bucket, by=by)
    elif kind == 6:
        yield s.call(_MARKET, "accrue", m, by=by)
    elif kind == 7 and s.chance(0.2):
        yield s.call(_DESK, "trade", m, owner, s.some(TRADERS), 1, books.price(m) or 1, False, False, by=by)
    elif kind == 8 and s.chance(0.2):
        yield s.call(_MARKET, "exchange", m, owner, s.some(TRADERS), 1, 1, 0, 0, by=by)


@move(weight=2)
def delist_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Announce that a market ends; at times too early, too late, again, or where the feed has a plan."""
    books = books_of(s)
    if books is None or ((s.settling or not s.late) and s.chance(0.6)):
        return
    m = int(s.random.random() * (len(books.markets) + 0.1))
    if m in books.markets and books.policy.underlyings[m].ends_at and s.chance(0.9):
        return
    notices = (bounds.MIN_NOTICE, bounds.MIN_NOTICE, bounds.MIN_NOTICE + 1, bounds.MAX_NOTICE)
    notice = s.some((*notices, *notices, bounds.MIN_NOTICE - 1, bounds.MAX_NOTICE + 1))
    yield s.call("MarginPolicy", "delist", m, s.now + notice, by=s.admin)
    if s.chance(0.3):
        yield s.call(
            "PriceFeed", "plan_final_price", s.some(range(s.listed)), s.now + notice, by=s.somebody()
        )
    if s.late and not s.settling and s.chance(0.15):
        # What begins first makes the price; in settlement nothing new is planned.
        yield s.call("Settlement", "announce", by=s.admin)
        yield Wait(s.settlement.delay)
        yield s.call("Settlement", "begin", by=s.somebody())
        yield s.call("MarginPolicy", "delist", s.some(books.markets), s.now + notice, by=s.admin)


@move(weight=5)
def end_in_cycles(s: Scene) -> Iterator[Action | Wait]:
    """See a market through its last hours, with marks and debtors, end it, and have accounts closed."""
    books = books_of(s)
    if books is None:
        return
    ends = {m: books.policy.underlyings[m].ends_at for m in books.markets if not books.ended(m)}
    planned = [m for m, at in ends.items() if at]
    if not planned and not s.settling:
        return
    m = s.some(planned or list(books.markets))
    if ends.get(m, 0) > s.now and s.chance(0.5):
        yield Wait(ends[m] - s.now + s.some((-1, 0, 1)))
    for _ in range(s.random.randint(0, 4)):
        yield Wait(s.some((600, 3_600, 7_200)))
        if s.chance(0.8):
            price = books.price(m) * s.random.randint(8_500, 11_500) // BASIS_POINTS
            yield from books.report(m, max(1, price))
            yield s.call("PriceFeed", "poke", books.policy.underlyings[m].feed, by=s.somebody())
        yield s.call(_MARKET, "accrue", m, by=s.somebody())
        for owner in books.debtors():
            yield s.call(_MARKET, "meet", owner, by=s.somebody())
    if s.chance(0.2):
        yield Wait(bounds.FINAL_DEADLINE)
    yield s.call(_MARKET, "end_market", m, by=s.somebody())
    for owner in s.random.sample(TRADERS, s.random.randint(0, len(TRADERS))):
        yield s.call(_MARKET, s.some(("wake", "meet")), owner, by=s.somebody())


@move(weight=4)
def close_cycles(s: Scene) -> Iterator[Action | Wait]:
    """Close in settlement: have markets marked for good, roll what is left, leave, in any order."""
    books = books_of(s)
    if books is None or (not s.settling and s.chance(0.98)):
        return
    if s.settling and not books.closing and s.chance(0.7):
        yield Wait(bounds.FINAL_DEADLINE)
    markets = [m for m in books.markets if not books.ended(m) or s.chance(0.1)]
    s.random.shuffle(markets)
    for m in markets:
        yield s.call(_MARKET, "end_market", m, by=s.somebody())
    everyone = [*TRADERS]
    s.random.shuffle(everyone)
    if not books.closing:
        return
    for owner in everyone[: s.random.randint(1, len(everyone))]:
        kind = s.random.randrange(3)
        if kind == 0:
            yield s.call(_MARKET, "meet", owner, by=s.somebody())
        elif kind == 1:
            yield Wait(books.market.window)
            yield s.call(_MARKET, "roll", by=s.somebody())
        else:
            yield s.call(_MARKET, "wake", owner, by=s.somebody())
            standing = books.market._standing(owner)
            spare = max(0, standing.own - standing.haircut - standing.unfinal)
            yield _withdraw(s, s.near(spare), owner)


@move(weight=0.5)
def set_margin_terms(s: Scene) -> Iterator[Action | Wait]:
    """Change terms a little, or the cap of insurance; a trader raises its floor of nonces."""
    books = books_of(s)
    if books is None:
        return
    m = int(s.random.random() * (len(books.markets) + 0.1))
    terms, lot = books.policy.terms_of("", m), max(1, int(books.policy.underlyings[m].lot))
    most = min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // lot)
    changed = terms._replace(
        discount=s.some((0, 10_000, 50_000)),
        haircut=s.some((100, 5_000, 10_000)),
        max_funding=s.some((0, 75, 1_000)),
        open_limit=s.some((10**6, min(10**9, most), most, s.some((0, most + 1)))),
        dust=s.some((0, 100)),
        insured=s.some((terms.insured, 0, s.some((1, 100, BASIS_POINTS, BASIS_POINTS + 1)))),
    )
    by = s.admin if s.chance(0.95) else s.somebody()
    kind = int(s.random.random() * 3)
    if kind == 0:
        yield s.call("MarginPolicy", "set_terms", m, changed, by=by)
    if kind == 1:
        yield s.call("MarginFund", "set_cap", s.some((0, 10, 10**6)), by=by)
    if kind == 2:
        account = s.some(TRADERS)
        floor = s.random.getrandbits(38)
        yield s.call("MarginOrders", "raise_nonce", floor, *named(s, account), by=OWNERS[account])

"""Traders of the margin market: they pay in and out, trade, are liquidated and deleveraged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.signing import sign_order, trader
from backstop.keepers.deleveraging import in_order, standings
from backstop.model import bounds
from backstop.model.arithmetic import BASIS_POINTS
from backstop.model.interfaces import EMERGENCY, LAST
from backstop.model.margin_book import Worth
from backstop.model.margin_fund import MarginFund
from backstop.model.margin_market import MarginMarket
from backstop.model.margin_orders import MarginOrders, Order
from backstop.model.margin_policy import MarginPolicy
from backstop.model.ranking import Ranking
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action

TRADERS = tuple(trader(f"trader_{i}") for i in range(5))
NAMES = {trader(f"trader_{i}"): f"trader_{i}" for i in range(5)}


def _market(s: Scene) -> MarginMarket | None:
    return cast("MarginMarket | None", s.world.contracts.get("MarginMarket"))


def _policy(s: Scene) -> MarginPolicy:
    return cast(MarginPolicy, s.world.contracts["MarginPolicy"])


def _worth(market: MarginMarket, owner: str) -> Worth:
    return market._worth(owner, market.accounts[owner], LAST)


def _short_of(s: Scene, market: MarginMarket, *, insolvent: bool) -> list[str]:
    """Return the traders under their maintenance margin, or under nothing."""
    worths = {owner: _worth(market, owner) for owner in TRADERS}
    if insolvent:
        return [owner for owner, worth in worths.items() if worth.equity < 0]
    return [o for o, w in worths.items() if 0 <= w.equity * BASIS_POINTS < w.maintenance]


def _opens(s: Scene, m: int) -> bool:
    """Return whether anybody may take new risk in a market."""
    feed = int(_policy(s).underlyings[m].feed)
    calm = s.policy is None or s.policy.mode("") < EMERGENCY
    return calm and not s.settling and s.fresh(feed) and bool(s.feed.prices[feed].next)


@move(weight=3)
def pay_margin_in(s: Scene) -> Iterator[Action | Wait]:
    """Pay in of what somebody holds, for any trader; at times more than that."""
    market = _market(s)
    if market is None:
        return
    who, owner = s.richest(), s.some(TRADERS)
    held = s.held("Stablecoin", who)
    if market.accounts[owner].cash > 0 and s.chance(0.5):
        return
    yield s.call("MarginMarket", "deposit", owner, s.near(held // 20, held // 3), by=who)


@move(weight=2)
def take_margin_out(s: Scene) -> Iterator[Action | Wait]:
    """Take out all that margins leave, a wei more, or a part of it."""
    market = _market(s)
    if market is None:
        return
    owner = s.some(TRADERS)
    worth = _worth(market, owner)
    spare = worth.equity - worth.initial // BASIS_POINTS
    if spare <= 0 and s.chance(0.9):
        return
    yield s.call("MarginMarket", "withdraw", s.near(max(spare, 0)), s.somebody(), by=owner)


@move(weight=8)
def trade_perpetuals(s: Scene) -> Iterator[Action | Wait]:
    """Match two traders, at or around the price, up to what their margins bear; some orders are wrong."""
    market = _market(s)
    if market is None:
        return
    maker, taker = s.random.sample(TRADERS, 2)
    m = int(s.random.random() * _policy(s).count[()])
    price = _policy(s)._price(m, LAST, True)
    size = market.positions[maker, m].size
    if size and s.chance(0.3):
        # Out of the position, or through it.
        lots = -s.near(size) if size > 0 else s.near(-size)
    elif not _opens(s, m) and s.chance(0.95):
        return
    else:
        equity = min(max(_worth(market, each).equity, 0) for each in (maker, taker))
        most = equity * BASIS_POINTS // (_policy(s).terms[m].initial * price)
        most = min(most, max(1, int(_policy(s).underlyings[m].open_limit)))
        lots = s.some((s.near(most), most * 19 // 20)) * s.some((1, -1))
    if lots == 0 and s.chance(0.95):
        return
    if s.chance(0.3):
        price = price * s.random.randint(950, 1_050) // 1_000
    nonce, expiry = s.random.getrandbits(40), s.now + s.some((0, 3_600))
    if s.chance(0.03):
        expiry = s.now - 1
    orders, by = cast(MarginOrders, s.world.contracts["MarginOrders"]), s.somebody()
    sides = []
    for owner, signed in ((maker, lots), (taker, -lots)):
        order = Order(owner, m, signed, price, expiry, nonce, s.chance(0.03))
        signer = NAMES[s.some(TRADERS) if s.chance(0.02) else owner]
        sides += [order, sign_order(signer, order, s.world.chain_id, orders.address)]
    if s.chance(0.05):
        yield s.call("MarginOrders", "cancel", sides[0], by=s.some((maker, by)))
    filled = s.some((abs(lots), abs(lots), s.part(abs(lots))))
    yield s.call("MarginOrders", "fill", *sides, filled, by=by)
    if s.chance(0.05):
        yield s.call("MarginOrders", "fill", *sides, filled, by=by)


def _ask_for_more(s: Scene, market: MarginMarket, owner: str) -> Iterator[Action | Wait]:
    """Raise the maintenance margin of a trader's market just above what it has."""
    worth = _worth(market, owner)
    ratio = worth.equity * BASIS_POINTS // worth.notional + s.some((1, 50, 500))
    if bounds.MIN_MARGIN <= ratio < bounds.MAX_MARGIN:
        m = market.accounts[owner].markets.bit_length() - 1
        terms = _policy(s).terms_of("", m)._replace(initial=ratio + 1, maintenance=ratio)
        yield s.call("MarginPolicy", "set_terms", m, terms, by=s.admin)


@move(weight=3)
def take_a_position_over(s: Scene) -> Iterator[Action | Wait]:
    """Take over from a trader short of margin, at times because more is asked for now; or from another."""
    market = _market(s)
    if market is None:
        return
    weak = _short_of(s, market, insolvent=False)
    holders = [each for each in TRADERS if market.accounts[each].markets]
    if not weak and holders and s.chance(0.8):
        yield from _ask_for_more(s, market, s.some(holders))
        weak = _short_of(s, market, insolvent=False)
    if not weak and s.chance(0.99):
        return
    owner = s.some(weak or TRADERS)
    held = [m for m in range(_policy(s).count[()]) if market.positions[owner, m].size]
    m = s.some(held or [0])
    lots = s.near(abs(market.positions[owner, m].size))
    by = s.some([each for each in TRADERS if each != owner or s.chance(0.02)])
    if s.chance(0.7):
        rich = s.richest()
        yield s.call("MarginMarket", "deposit", by, s.held("Stablecoin", rich) // 4, by=rich)
    for part in (lots, max(1, lots // 3), max(1, lots // 10)):
        yield s.call("MarginMarket", "liquidate", owner, m, part, by=by)


@move(weight=6)
def deleverage_an_insolvent_trader(s: Scene) -> Iterator[Action | Wait]:
    """Begin, rank, execute, in one or several calls; some rankings are wrong, and some freezes run out."""
    market = _market(s)
    if market is None:
        return
    broke = _short_of(s, market, insolvent=True)
    if not broke and s.chance(0.97):
        return
    owner, by = s.some(broke or TRADERS), s.somebody()
    held = [m for m in range(_policy(s).count[()]) if market.positions[owner, m].size]
    yield s.call("MarginDeleverager", "begin", owner, s.some(held or [0]), by=by)
    deleverager = cast(Ranking, s.world.contracts["MarginDeleverager"])
    if s.now > deleverager.cases[()].until:
        return
    if s.chance(0.2):
        yield Wait(s.some((1, 60, 86_400)))
    ranked = in_order(deleverager.KIND, standings(deleverager, market))
    if s.chance(0.1):
        s.random.shuffle(ranked)
    cut = int(s.random.random() * (len(ranked) + 1))
    for part in (ranked[:cut], ranked[cut:]):
        yield s.call("MarginDeleverager", "submit", tuple(part), by=by)
    for _ in range(3):
        yield s.call("MarginDeleverager", "execute", s.some((1, 2, 100)), by=s.somebody())


@move(weight=2)
def crank_the_margin_market(s: Scene) -> Iterator[Action | Wait]:
    """Settle funding, fees, unpaid losses, vested profits, insurance, what settlement leaves."""
    market = _market(s)
    if market is None:
        return
    fund = cast(MarginFund, s.world.contracts["MarginFund"])
    m, by = int(s.random.random() * (_policy(s).count[()] + 0.1)), s.somebody()
    kind = int(s.random.random() * 6)
    if kind == 0:
        yield s.call("MarginMarket", "accrue", m, by=by)
    if kind == 1:
        yield s.call("MarginMarket", "sweep", by=by)
    if kind == 2 and (market.interests[m].unpaid or s.chance(0.1)):
        yield s.call("MarginMarket", "post_shortfall", m, by=by)
    if kind == 3 and fund.holdings:
        owner, bucket = s.some(list(fund.holdings))
        yield s.call("MarginFund", "claim", owner, bucket, by=by)
    if kind == 4:
        who = s.richest()
        yield s.call("MarginFund", "insure", s.near(s.held("Stablecoin", who) // 50), by=who)
    if kind == 5 and s.settling:
        yield s.call("MarginMarket", "begin_close", by=by)
        longs = [key for key, position in market.positions.items() if position.size > 0]
        for long, each in longs:
            for short in TRADERS:
                lots = min(market.positions[long, each].size, -market.positions[short, each].size)
                if lots > 0:
                    yield s.call("MarginMarket", "close_out", long, short, each, lots, by=by)


@move(weight=0.5)
def set_margin_terms(s: Scene) -> Iterator[Action | Wait]:
    """Change terms a little, or the cap of insurance; a trader raises its floor of nonces."""
    if "MarginPolicy" not in s.world.contracts:
        return
    m = int(s.random.random() * (_policy(s).count[()] + 0.1))
    terms, lot = _policy(s).terms_of("", m), max(1, int(_policy(s).underlyings[m].lot))
    most = min(bounds.MAX_OPEN_LOTS, bounds.MAX_OPEN // lot)
    changed = terms._replace(
        discount=s.some((0, 10_000, 50_000)),
        haircut=s.some((100, 5_000, 10_000)),
        max_funding=s.some((0, 75, 1_000)),
        open_limit=s.some((10**6, min(10**9, most), most, s.some((0, most + 1)))),
        dust=s.some((0, 100)),
    )
    by = s.admin if s.chance(0.95) else s.somebody()
    kind = int(s.random.random() * 3)
    if kind == 0:
        yield s.call("MarginPolicy", "set_terms", m, changed, by=by)
    if kind == 1:
        yield s.call("MarginFund", "set_cap", s.some((0, 10, 10**6)), by=by)
    if kind == 2:
        yield s.call("MarginOrders", "raise_nonce", s.random.getrandbits(38), by=s.some(TRADERS))

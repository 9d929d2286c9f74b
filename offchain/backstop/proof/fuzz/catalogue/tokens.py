"""Tokens on the move: gifts, donations, allowances, permits, a market."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.constant_product_market import ConstantProductMarket
from backstop.model.pool import Pool
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.fuzz import permits
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Fungible, Scene, Wait
from backstop.system import Action


def _token(s: Scene) -> str:
    shares = s.some((*s.pools, *s.claims, *s.domains, *(("Equity",) if s.has_equity else ())))
    return s.some(("Stablecoin", shares, shares, s.symbol(s.type()), "Odd", "Fee"))


def _to_anyone(s: Scene) -> str:
    """Choose a receiver: people mostly; contracts, as a donation; nobody."""
    if s.chance(0.6):
        return s.somebody()
    if s.chance(0.1):
        return ZERO_ADDRESS
    names = (
        "VaultEngine",
        s.some((*s.pools, *s.claims, *s.equity_auctions)),
        "CollateralAuction",
        "LossWaterfall",
        "Stablecoin",
        "FlashTaker",
    )
    return s.world.contracts[s.some(names)].address


@move(weight=2)
def transfer(s: Scene) -> Iterator[Action | Wait]:
    """Send tokens to somebody, or to a contract as a donation."""
    token, who = _token(s), s.somebody()
    held = s.held(token, who)
    yield s.call(token, "transfer", _to_anyone(s), s.near(held // 3, held // 10, held), by=who)


@move(weight=1)
def approve(s: Scene) -> Iterator[Action | Wait]:
    """Give an allowance, rarely take the protocol's away and give it back."""
    token, who = _token(s), s.somebody()
    spender = ZERO_ADDRESS if s.chance(0.05) else s.somebody()
    yield s.call(token, "approve", spender, s.some((0, 1, WAD, s.held(token, who), MAX_UINT256)), by=who)


@move(weight=1)
def transfer_on_allowance(s: Scene) -> Iterator[Action | Wait]:
    """Spend an allowance, found or asked for."""
    token, owner, spender = _token(s), s.somebody(), s.somebody()
    contract = cast(Fungible, s.world.contracts[token])
    if contract.allowances[owner, spender] == 0 and s.chance(0.8):
        yield s.call(token, "approve", spender, s.near(s.held(token, owner)), by=owner)
    allowed = min(contract.allowances[owner, spender], s.held(token, owner))
    yield s.call(token, "transferFrom", owner, _to_anyone(s), s.near(allowed), by=spender)


@move(weight=0.8)
def permit(s: Scene) -> Iterator[Action | Wait]:
    """Give an allowance by signature: valid, expired, of another, of another nonce, torn."""
    others = (*s.pools, *s.claims, *s.domains, *(("Equity",) if s.has_equity else ()))
    yield permits.draw(s, s.some(("Stablecoin", s.some(others))))


@move(weight=1)
def fund(s: Scene) -> Iterator[Action | Wait]:
    """Take new collateral from the faucet."""
    c, who = s.type(), s.somebody()
    yield s.call(s.symbol(c), "mint", who, s.part(10**6) * WAD // s.terms(c).unit, by=who)


@move(weight=0.8)
def freeze(s: Scene) -> Iterator[Action | Wait]:
    """Stop a token that can be stopped, for one try at most."""
    names = [n for n, k in s.deployment.kinds.items() if k == "FalseToken"] + ["Odd"]
    name = s.some(names)
    yield s.call(name, "freeze", True, by=s.somebody())
    if s.chance(0.7):
        who, pool = s.somebody(), cast(Pool, s.world.contracts["OddPool"])
        if name == "Odd":
            yield s.call("OddPool", "deposit", WAD, who, by=who)
            ready = [owner for owner in s.people if pool.lines[owner].first]
            if ready:
                owner = ready[0]
                yield s.call("OddPool", "redeem", pool.maxRedeem("", owner), who, owner, by=owner)
        else:
            c = [each.symbol for each in s.deployment.parameters.collateral_types].index(name)
            unit = s.terms(c).unit
            yield s.call("VaultEngine", "deposit_and_draw", c, who, unit, 0, who, by=who)
            locked = s.vault(c, who).locked_collateral
            if locked and s.vault(c, who).normalized_debt == 0:
                yield s.call("VaultEngine", "repay_and_withdraw", c, who, 0, unit, who, by=who)
    yield s.call(name, "freeze", False, by=s.somebody())


@move(weight=0.6)
def fee_token(s: Scene) -> Iterator[Action | Wait]:
    """Offer a token that charges transfers for listing; it is refused."""
    yield s.call("Fee", "set_free_pulls", s.chance(0.5), by=s.somebody())
    yield s.call("Fee", "transferFrom", s.admin, s.admin, WAD, by=s.admin)
    address = s.world.contracts["Fee"].address
    yield s.call("VaultEngine", "add_collateral_type", address, 15_000, 15_000, by=s.admin)


@move(weight=1.6)
def trade(s: Scene) -> Iterator[Action | Wait]:
    """Sell to or buy from the market of a type."""
    c, who = s.type(), s.some((s.richest(), s.somebody()))
    name = f"Market.{s.symbol(c)}"
    market = cast(ConstantProductMarket, s.world.contracts[name])
    if s.chance(0.5):
        held = s.held(s.symbol(c), who) * s.terms(c).unit
        amount = min(s.part(max(held, 1)), max(market.collateral[()], s.terms(c).unit))
        yield s.call(name, "sell", amount, s.some((0, 0, 0, MAX_UINT256)), who, by=who)
    else:
        held = s.held("Stablecoin", who)
        amount = min(s.part(max(held, 1)), max(market.stable[()] // 2, 1))
        yield s.call(name, "buy", amount, s.some((0, 0, 0, MAX_UINT256)), who, by=who)


@move(weight=1)
def provide_liquidity(s: Scene) -> Iterator[Action | Wait]:
    """Quote the feed's price, as the market maker, with what the richest lends."""
    c = s.type()
    price, unit = s.price(c), s.terms(c).unit
    maker = s.deployment.get_account("market_maker")
    if price == 0:
        return
    name, giver = f"Market.{s.symbol(c)}", s.richest()
    stable = s.part(max(s.stablecoin.balances[giver] // 2, 1))
    yield s.call("Stablecoin", "transfer", maker, stable, by=giver)
    stable = s.held("Stablecoin", maker)
    collateral = min(stable * 10**27 // price, s.held(s.symbol(c), maker) * unit)
    by = maker if s.chance(0.95) else s.somebody()
    yield s.call(name, "set_liquidity", collateral, stable, by=by)

"""Borrowers: open, draw up to a limit, repay, withdraw, leave."""

from __future__ import annotations

from collections.abc import Iterator

from backstop.model.arithmetic import BASIS_POINTS, MAX_UINT256, RAD, RAY, WAD, div_up
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


def _deposit_and_draw(
    s: Scene, c: int, owner: str, deposit: int, draw: int, receiver: str = "", by: str = ""
) -> Action:
    args = (c, owner, deposit, draw, receiver or owner)
    return Action("VaultEngine", "deposit_and_draw", args, by or owner)


def _repay_and_withdraw(
    s: Scene, c: int, owner: str, repay: int, withdraw: int, receiver: str = "", by: str = ""
) -> Action:
    args = (c, owner, repay, withdraw, receiver or owner)
    return Action("VaultEngine", "repay_and_withdraw", args, by or owner)


@move(weight=9)
def open_vault(s: Scene) -> Iterator[Action | Wait]:
    """Lock collateral for a debt, at the initial ratio, at a wei from it, or well above."""
    c, owner = s.type(), s.somebody()
    price, terms = s.price(c), s.terms(c)
    if price == 0 or not s.fresh(c):
        return
    room = s.under_ceiling(c) // WAD
    if room <= terms.debt_floor:
        return
    least = max(terms.debt_floor, 1)
    debt = min(room, least * s.some((1, 1, 2, 5, 20, 200, 5_000))) * WAD + s.some((0, 0, 1, 123_456_789))
    ratio = s.some((0, 1, 500, 5_000, 20_000)) + terms.initial_ratio
    deposit = div_up(debt * RAY * ratio, price * BASIS_POINTS)
    deposit = div_up(deposit, terms.unit) * terms.unit + s.some((0, 0, 0, 0, 0, 1, -1))
    yield _deposit_and_draw(s, c, owner, max(deposit, 0), debt, s.some((owner, owner, s.somebody())))


@move(weight=3)
def draw(s: Scene) -> Iterator[Action | Wait]:
    """Draw as much as the margin or the ceiling allows, a wei less or more, or a part of it."""
    c, owner = s.type(), s.somebody()
    if s.vault(c, owner).locked_collateral == 0 or not s.fresh(c):
        return
    most = min(s.drawable(c, owner), s.under_ceiling(c))
    if most * RAY + s.debt(c, owner) < s.terms(c).debt_floor * RAD and s.chance(0.9):
        return
    yield _deposit_and_draw(s, c, owner, 0, s.near(most))


@move(weight=3)
def draw_to_the_floor(s: Scene) -> Iterator[Action | Wait]:
    """Draw exactly up to the debt floor, or a wei off it."""
    c, owner = s.type(), s.somebody()
    missing = div_up(s.terms(c).debt_floor * RAD - s.debt(c, owner), RAY)
    if missing <= 0 or not s.fresh(c) or s.price(c) == 0:
        return
    deposit = 2 * missing * RAY * s.terms(c).initial_ratio // (BASIS_POINTS * s.price(c))
    yield _deposit_and_draw(s, c, owner, deposit + s.terms(c).unit, missing + s.some((0, 0, 1, -1)))


@move(weight=3)
def top_up(s: Scene) -> Iterator[Action | Wait]:
    """Add collateral only, to one's own vault or another's."""
    c, owner = s.type(), s.somebody()
    amount = s.part(max(s.vault(c, owner).locked_collateral, 10 * s.terms(c).unit))
    yield _deposit_and_draw(s, c, owner, amount, 0, by=s.some((owner, owner, s.somebody())))


@move(weight=5)
def repay(s: Scene) -> Iterator[Action | Wait]:
    """Repay in part, down to the floor, or all of it."""
    c, owner = s.type(), s.somebody()
    debt = s.debt(c, owner)
    if debt == 0:
        return
    payer = owner
    whole = div_up(debt, RAY)
    if s.stablecoin.balances[payer] < whole:
        payer = s.richest()
    to_floor = whole - s.terms(c).debt_floor * WAD
    least = s.rate(c) // RAY + 1  # less repays nothing
    amount = s.some((whole, s.near(whole), s.near(to_floor), max(s.part(whole), least), MAX_UINT256))
    if s.chance(0.8):
        amount = min(amount, s.stablecoin.balances[payer])
    yield _repay_and_withdraw(s, c, owner, amount, 0, by=payer)


@move(weight=4)
def withdraw(s: Scene) -> Iterator[Action | Wait]:
    """Withdraw what the margin leaves free, a unit more or less, or all of a debt-free vault."""
    c, owner = s.type(), s.somebody()
    vault, terms = s.vault(c, owner), s.terms(c)
    if vault.locked_collateral == 0:
        return
    free = vault.locked_collateral
    if vault.normalized_debt:
        price = s.price(c)
        if price == 0 or not s.fresh(c):
            return
        free -= div_up(s.debt(c, owner) * terms.initial_ratio, price * BASIS_POINTS)
        if free <= 0 and s.chance(0.8):
            return
    amount = s.some((s.near(free), s.part(free), free // terms.unit * terms.unit))
    yield _repay_and_withdraw(s, c, owner, 0, max(amount, 0), s.some((owner, owner, s.somebody())))


@move(weight=2)
def leave(s: Scene) -> Iterator[Action | Wait]:
    """Repay all and take all, in one call or two."""
    c, owner = s.type(), s.somebody()
    vault = s.vault(c, owner)
    if vault.locked_collateral == 0:
        return
    if s.stablecoin.balances[owner] < div_up(s.debt(c, owner), RAY):
        missing = div_up(s.debt(c, owner), RAY) - s.stablecoin.balances[owner]
        giver = s.richest()
        if s.stablecoin.balances[giver] < missing or giver == owner:
            return
        yield s.call("Stablecoin", "transfer", owner, missing + 10**15, by=giver)
    if s.chance(0.5):
        yield _repay_and_withdraw(s, c, owner, MAX_UINT256, vault.locked_collateral)
    else:
        yield _repay_and_withdraw(s, c, owner, MAX_UINT256, 0)
        yield _repay_and_withdraw(s, c, owner, 0, s.vault(c, owner).locked_collateral)


@move(weight=1)
def act_for_another(s: Scene) -> Iterator[Action | Wait]:
    """Draw or withdraw for an owner as an operator, with approval or without."""
    c, owner, operator = s.type(), s.somebody(), s.somebody()
    if s.chance(0.6):
        yield s.call("VaultEngine", "approve_operator", operator, s.chance(0.7), by=owner)
    vault = s.vault(c, owner)
    if s.chance(0.5):
        most = min(s.drawable(c, owner), s.under_ceiling(c))
        yield _deposit_and_draw(s, c, owner, 0, max(1, most // 2), operator, by=operator)
    else:
        yield _repay_and_withdraw(s, c, owner, 0, vault.locked_collateral // 20, operator, by=operator)


@move(weight=2)
def accrue(s: Scene) -> Iterator[Action | Wait]:
    """Charge the fee; anyone may."""
    yield s.call("VaultEngine", "accrue", s.type(), by=s.somebody())


@move(weight=0.8)
def read_and_accrue(s: Scene) -> Iterator[Action | Wait]:
    """Accrue by asking for a vault's state, as the liquidation engine does; anyone may."""
    factor = s.some((10_000, 10_000, 0, 100, MAX_UINT256))
    yield s.call("VaultEngine", "accrue_and_read", s.type(), s.somebody(), factor, by=s.somebody())

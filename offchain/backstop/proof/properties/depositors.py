"""Futures of one depositor: the losses and the income that follow an entry, and the wait for a withdrawal."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from random import Random
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import WAD
from backstop.model.state import Revert
from backstop.proof.properties.both import Both
from backstop.proof.properties.figures import batches
from backstop.proof.properties.figures.arithmetic import RAY
from backstop.proof.properties.future import (
    VISITOR,
    apply,
    ask_to_leave,
    claim,
    collapse,
    contract_of,
    deficit,
    give,
    must,
    pick,
    pools_can_pay,
    report,
    settle,
    stablecoin_pools,
    token_of,
    types,
)
from backstop.proof.properties.registry import Violation, counterfactual_property

_STRANGER, _DONOR = get_account("visitor_2"), get_account("visitor_3")
_EVER = 2**256 - 1
_SLACK = 64
"""Wei: one or two for every batch or run that may be open, by which payments are rounded."""
_LEAST = 10**6
"""Wei of vested assets: a loss that leaves less voids all shares."""
_CERTAIN = 256
"""A payment begins once more than one part in so many is certain, and holds back at least that much."""


@counterfactual_property(170)
def depositor_bears_its_share_of_later_losses(both: Both, random: Random) -> bool:
    """Assert that who enters once all losses are covered bears of later ones no more than live shares do.

    That is the part of the loss, share for share, or of what live shares lose by it if that is less; also
    after dust was deposited. Losses that leave next to nothing may come before the entry. 64 wei are
    tolerated, and 1e6 where a loss leaves less than that in the pool.
    """
    name = pick(random, stablecoin_pools(both))
    if name is None or not _is_playable(both):
        return False
    c = _pick_small(both, random)
    price = contract_of(both, "PriceFeed").prices[c].current
    with both.fork_state():
        if random.random() < 0.7:
            _leave(both, *stablecoin_pools(both))
        for _ in range(random.choice((0, 1, 3))):
            _leave_dust(both, name, c, price, random)
        if not _cover_all(both) or any(deficit(both, each) for each in types(both)):
            return False
        most = max(contract_of(both, "Stablecoin").balances.values(), default=0)
        if not _deposit(both, name, VISITOR, most // random.choice((2, 10, 10**6))):
            return False
        _lose(both, c, price)
        return sum([_check_loss(both, name, c, random) for c in types(both) if deficit(both, c)]) > 0


@counterfactual_property(171)
def strangers_delay_no_withdrawal(both: Both, random: Random) -> bool:
    """Assert that a request is paid after the collecting time of a batch, the cooldown and the look.

    Whatever dust strangers request and whenever they cut and settle. What may yet be lost holds back one and
    a half times the part that the request would absorb, or that part and one in 256 of a share's price if
    that is more; 64 wei are tolerated. Nothing is said where less than one in 256 of an earlier request, or
    of this one, is certain.
    """
    name = pick(random, [name for name in stablecoin_pools(both) if contract_of(both, name).cooldown])
    if name is None or not _is_playable(both):
        return False
    cooldown = int(contract_of(both, name).cooldown)
    # A day, an hour with a cooldown of an hour, and an eighth of a cooldown of more than eight days.
    collecting = max(min(cooldown, batches.DAY), cooldown // 8)
    with both.fork_state():
        if random.random() < 0.5:
            _leave(both, *stablecoin_pools(both))
        if not _cover_all(both) or (random.random() < 0.7 and not _cast_doubt(both, random)):
            return False
        most = max(contract_of(both, "Stablecoin").balances.values(), default=0)
        amount = most // random.choice((2, 10))
        if not _deposit(both, name, _STRANGER, 10**9) or not _deposit(both, name, VISITOR, amount):
            return False
        for _ in range(random.choice((0, 3, 18))):
            _request_dust(both, name, min(cooldown, batches.DAY), random)
        shares, due = both.view(name, "balanceOf", VISITOR), both.timestamp + collecting
        if shares == 0:
            return False
        batch = int(must(both, name, "requestRedeem", shares, VISITOR, VISITOR, by=VISITOR))
        _request_dust(both, name, random.randrange(collecting), random)
        both.advance(due - both.timestamp)
        settle(both, name)
        outcome = apply(both, name, "cut", by=VISITOR)
        if both.view(name, "queue")[2] <= batch:
            if _is_any_in_doubt(both, name, batch):
                return False
            raise Violation(f"{name}: a request is not cut within {collecting} s: {outcome.reason!r}")
        units, _, _, held, _ = both.view(name, "batch_of", batch)
        _request_dust(both, name, random.randrange(cooldown), random)
        both.advance(due + cooldown + batches.LOOK - both.timestamp)
        found = _borne(both, name)
        if found is None or _is_any_in_doubt(both, name, batch + 1):
            return False
        borne, least = found
        settle(both, name)
        paid = both.view(name, "maxWithdraw", VISITOR)
        claimed = held * shares // units
        back = (borne + max(borne / 2, least)) * shares if borne else 0
        if paid < claimed - back - _SLACK:
            raise Violation(
                f"{name}: {paid} of {claimed} wei is paid {collecting + cooldown + batches.LOOK} s after the "
                f"request, of which {float(borne * shares):.0f} may be lost"
            )
    return True


@counterfactual_property(172)
def depositor_earns_what_vests_on_its_shares(both: Both, random: Random) -> bool:
    """Assert that of a pool's income nobody gets what vested before the entry, nor what leavers forfeit.

    At most the part of what had not vested at the entry that its shares were of all shares then; 64 wei are
    tolerated. Not of pools of equity, where leavers' income is left to those who stay; nor of a pool without
    a cooldown while debt is in doubt, where leavers leave their part of the doubt as well.
    """
    name = pick(random, stablecoin_pools(both))
    if name is None or not _is_playable(both) or not pools_can_pay(both):
        return False
    pool = contract_of(both, name)
    if not pool.cooldown and both.view("LossWaterfall", "losses_beyond", pool.address):
        return False
    with both.fork_state():
        if not _add_income(both, name, random):
            return False
        both.advance(random.choice((0, 3_600, pool.vesting // 7)))
        most = max(contract_of(both, "Stablecoin").balances.values(), default=0)
        brought = random.choice((10**15, 1 + most // 1_000, most // 2))
        if not _deposit(both, name, VISITOR, brought):
            return False
        kept = contract_of(both, "Stablecoin").balances[VISITOR]
        shares, supply = both.view(name, "balanceOf", VISITOR), both.view(name, "totalSupply")
        fair = brought + Fraction(both.view(name, "unvested") * shares, supply + batches.VIRTUAL_SHARES)
        leavers = [who for who in _members(both, name) if who != VISITOR]
        for _ in range(2):
            some = random.sample(leavers, random.randrange(len(leavers) + 1))
            _leave(both, name, members=some)
            both.advance(random.choice((0, 86_400)))
        both.advance(pool.vesting)
        _leave(both, name, members=[VISITOR])
        got = contract_of(both, "Stablecoin").balances[VISITOR] - kept
        if got > fair + _SLACK:
            raise Violation(f"{name}: who brought {brought} wei leaves with {got}, due are {float(fair):.0f}")
    return True


# ------------------------------------------------------------------- conditions


def _is_playable(both: Both) -> bool:
    """Return whether losses can be played: there are types, real stages, and no settlement."""
    if both.parameters is None or both.parameters.has_stage("scripted") or not types(both):
        return False
    return not contract_of(both, "VaultEngine").in_settlement(VISITOR)


def _is_any_in_doubt(both: Both, name: str, end: int) -> bool:
    """Return whether an unsettled batch before `end` has less than one part in 256 that is certain."""
    found = _borne(both, name)
    if found is None:
        return True
    borne, least = found
    for id in range(both.view(name, "queue")[1], end):
        units, _, _, held, _ = both.view(name, "batch_of", id)
        if units and borne and held < (borne + least) * units + _SLACK:
            return True
    return False


def _borne(both: Both, name: str) -> tuple[Fraction, Fraction] | None:
    """Return what a share would bear of all losses in doubt, and one in 256 of its price [wei].

    None while payments wait for a look at falling prices.
    """
    pool = contract_of(both, name).address
    try:
        both.view("LossWaterfall", "losses_at_payment", pool)
    except Revert:
        return None
    losses = both.view("LossWaterfall", "losses_beyond", pool)
    held = both.view(name, "capacity", types(both)[0]) // RAY
    supply = both.view(name, "totalSupply") + batches.VIRTUAL_SHARES
    price = Fraction(both.view(name, "totalAssets") + batches.VIRTUAL_ASSETS, supply)
    return batches.borne(_reader(both), name, min(held, -(-losses // RAY))), price / _CERTAIN


def _reader(both: Both) -> Callable[..., Any]:
    """Return how figures read a table of now."""

    def read(contract: str, path: str, key: Any = ()) -> Any:
        return contract_of(both, contract).tables[path][key]

    return read


# ------------------------------------------------------------------ what happens


def _check_loss(both: Both, name: str, c: int, random: Random) -> bool:
    """Have a type's deficit covered and dust deposited; return whether the pool bore a part of it."""
    address = VISITOR
    shares, supply = both.view(name, "balanceOf", address), both.view(name, "totalSupply")
    before, live = both.view(name, "convertToAssets", shares), both.view(name, "totalAssets")
    vested = both.view(name, "capacity", c) // RAY
    outcome = apply(both, "LossWaterfall", "cover", c, by=VISITOR)
    logs = [each for each in outcome.logs if (each.contract, each.event) == (name, "LossAbsorbed")]
    lost = sum(each.values[1] for each in logs)
    if not outcome.ok or not lost:
        return False
    fallen = min(live - both.view(name, "totalAssets"), lost)
    _deposit(both, name, _STRANGER, random.choice((1, 10**6, 10**18)))
    after = both.view(name, "convertToAssets", both.view(name, "balanceOf", address))
    part = Fraction(max(0, fallen) * shares, supply + batches.VIRTUAL_SHARES)
    slack = _SLACK + (_LEAST if vested - lost < _LEAST else 0)
    if after < before - part - slack:
        raise Violation(
            f"{name}: of {before} wei that were deposited {after} are left after a loss of {lost}, of which "
            f"{float(part):.0f} were the depositor's part"
        )
    return True


def _borrow(both: Both, c: int, price: int, times: int = 1) -> None:
    """Have somebody borrow a type's floor so many times, three times secured at a price."""
    engine = contract_of(both, "VaultEngine")
    token, debt = token_of(both, c), times * engine.terms[c].debt_floor * WAD
    if not price or not debt or not report(both, c, price):
        return
    raw = 3 * debt * RAY // price // engine.terms[c].unit + 1
    if apply(both, token.label, "mint", _DONOR, raw, by=_DONOR).ok:
        must(both, token.label, "approve", engine.address, _EVER, by=_DONOR)
        locked = raw * engine.terms[c].unit
        apply(both, "VaultEngine", "deposit_and_draw", c, _DONOR, locked, debt, _DONOR, by=_DONOR)


def _lose(both: Both, c: int, price: int) -> None:
    """Have somebody borrow of a type, and all of it collapse."""
    _borrow(both, c, price)
    for id in collapse(both, c):
        must(both, "CollateralAuction", "close", id, by=VISITOR)


def _leave_dust(both: Both, name: str, c: int, price: int, random: Random) -> None:
    """Have a loss take all of a pool but dust: somebody deposits what it will take and a little more."""
    _lose(both, c, price)
    pool = contract_of(both, name)
    due = -(-both.view("LossWaterfall", "losses_beyond", pool.address) // RAY)
    missing = due - both.view(name, "capacity", c) // RAY
    # The last but one is what a rule that voids above 1e15 shares for a wei just lets pass.
    dust = random.choice((_LEAST + 1, max(_LEAST, due // (10**9 - 1)) + 2, 10**15))
    if due and missing > -dust:
        _deposit(both, name, _DONOR, missing + dust)
    _cover_all(both)


def _cover_all(both: Both) -> bool:
    """Have the deficits of all types covered; return whether each call succeeded."""
    found = [apply(both, "LossWaterfall", "cover", c, by=VISITOR) for c in types(both) if deficit(both, c)]
    return all(each.ok for each in found)


def _cast_doubt(both: Both, random: Random) -> bool:
    """Have the vault of somebody who has just borrowed auctioned, nobody take the lot, and wait."""
    c = _pick_small(both, random)
    price = contract_of(both, "PriceFeed").prices[c].current
    _borrow(both, c, price, random.choice((1, 3, 9)))
    if not price or not report(both, c, -(-price // 10)):
        return False
    apply(both, "LiquidationEngine", "liquidate", c, _DONOR, VISITOR, by=VISITOR)
    both.advance(batches.DAY + 1)
    return True


def _pick_small(both: Both, random: Random) -> int:
    """Choose a type of little debt: of a loss that takes everything else nobody has enough to deposit."""
    debts = contract_of(both, "VaultEngine").debts
    return int(pick(random, sorted(types(both), key=lambda c: int(debts[c].normalized_debt))[:2]))


def _deposit(both: Both, name: str, who: str, amount: int) -> bool:
    """Collect so much for somebody and deposit it; return whether that was possible."""
    if amount <= 0 or not give(both, who, amount):
        return False
    must(both, "Stablecoin", "approve", contract_of(both, name).address, _EVER, by=who)
    return apply(both, name, "deposit", amount, who, by=who).ok


def _add_income(both: Both, name: str, random: Random) -> bool:
    """Give a pool an income; return whether that was possible."""
    amount = random.choice((10**18, max(contract_of(both, "Stablecoin").balances.values(), default=0) // 9))
    if not amount or not give(both, _DONOR, amount):
        return False
    must(both, "Stablecoin", "approve", contract_of(both, name).address, _EVER, by=_DONOR)
    return apply(both, name, "add_income", amount, by=_DONOR).ok


def _request_dust(both: Both, name: str, seconds: int, random: Random) -> None:
    """Commit one share of a stranger's; some time later have batches cut, and settled or not."""
    apply(both, name, "requestRedeem", 1, _STRANGER, _STRANGER, by=_STRANGER)
    both.advance(seconds)
    apply(both, name, "cut", by=_STRANGER)
    if random.random() < 0.5:
        settle(both, name)


def _leave(both: Both, *names: str, members: list[str] | None = None) -> None:
    """Have members, or all of them, leave some pools with all that may."""
    for name in names:
        some = _members(both, name) if members is None else members
        batch = ask_to_leave(both, name, *some)
        settle(both, name)
        for who in some:
            if batch:
                claim(both, name, who, batch)
            else:
                apply(both, name, "redeem", both.view(name, "maxRedeem", who), who, who, by=who)


def _members(both: Both, name: str) -> list[str]:
    """Return who has shares of a pool and is no contract."""
    return [who for who in contract_of(both, name).holders() if who not in both.model.world.addresses]

"""Bridges: they draw up to their line, pay back, lose, and pay later; notes are redeemed in settlement."""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

from backstop.deployment.contract_names import list_domains
from backstop.deployment.deployment_parameters import DomainParameters
from backstop.model import bounds
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD, div_up
from backstop.model.domain import Domain
from backstop.model.state import ZERO_ADDRESS
from backstop.proof.fuzz.moves import move
from backstop.proof.fuzz.scene import Scene, Wait
from backstop.system import Action


def _domain(s: Scene) -> tuple[DomainParameters, Domain] | None:
    found = list_domains(s.deployment.parameters)
    if not found:
        return None
    _, parameters = s.some(found)
    return parameters, cast(Domain, s.world.contracts[parameters.name])


def _debt(s: Scene, domain: Domain) -> int:
    """Return a domain's debt, rounded up [wad]."""
    return div_up(s.debt(domain.collateral_type, domain.address), RAY)


@move(weight=3)
def draw_for_a_bridge(s: Scene) -> Iterator[Action | Wait]:
    """Draw up to the line, a wei more, or a part of it, at times in two halves; others are refused."""
    found = _domain(s)
    if found is None:
        return
    parameters, domain = found
    if domain._announced.amount and s.chance(0.8):
        return
    by = s.deployment.get_account(parameters.minter) if s.chance(0.97) else s.somebody()
    line = s.terms(domain.collateral_type).debt_ceiling * WAD
    room = line - _debt(s, domain) - int(domain.losses[()])
    amount = s.near(room, room // 20)
    for part in (amount,) if s.chance(0.8) else (amount // 2, amount - amount // 2):
        yield s.call(domain.label, "draw", part, s.somebody(), by=by)


@move(weight=2)
def pay_a_bridge_back(s: Scene) -> Iterator[Action | Wait]:
    """Pay some of the debt, all or more; at times at the vault engine, and the domain is told or not."""
    found = _domain(s)
    if found is None:
        return
    _, domain = found
    debt, who = _debt(s, domain), s.some((s.richest(), s.somebody()))
    if debt == 0 and s.chance(0.9):
        return
    amount = min(s.some((s.near(debt), s.part(max(debt, 1)), MAX_UINT256)), s.held("Stablecoin", who))
    if s.chance(0.8):
        yield s.call(domain.label, "repay", amount, by=who)
        return
    vault = domain.collateral_type, domain.address
    yield s.call("VaultEngine", "repay_and_withdraw", *vault, amount, 0, who, by=who)
    if s.chance(0.7):
        yield s.call(domain.label, "report", by=s.somebody())


@move(weight=1.5)
def announce_a_loss(s: Scene) -> Iterator[Action | Wait]:
    """Have the admin or the guardian say what a bridge will not pay, and take it back, or not."""
    found = _domain(s)
    if found is None:
        return
    _, domain = found
    debt = _debt(s, domain)
    if debt == 0 and s.chance(0.8):
        return
    amount = s.some((s.near(debt), s.part(max(debt, 1)), int(domain._announced.amount) + 1))
    if s.chance(0.05):
        amount = s.some((0, 2**128 - 1, 2**128))
    by = s.some((s.admin, s.guardian, s.guardian)) if s.chance(0.95) else s.somebody()
    yield s.call(domain.label, "announce_loss", amount, by=by)
    if s.chance(0.3):
        yield s.call(domain.label, "cancel_loss", by=s.admin if s.chance(0.9) else s.somebody())


@move(weight=2)
def realise_a_loss(s: Scene) -> Iterator[Action | Wait]:
    """Book a loss once its delay is over, or a second before; it is covered, or not yet."""
    found = _domain(s)
    if found is None:
        return
    _, domain = found
    announced = domain._announced
    if (announced.amount == 0 or _debt(s, domain) == 0) and s.chance(0.9):
        return
    yield Wait(max(0, announced.ready_at - s.now - s.some((0, 0, 0, 1))))
    yield s.call(domain.label, "realise_loss", by=s.somebody())
    if s.engine.deficit[domain.collateral_type] and s.chance(0.6):
        yield s.call("LossWaterfall", "cover", domain.collateral_type, by=s.somebody())


@move(weight=1.5)
def recover_a_loss(s: Scene) -> Iterator[Action | Wait]:
    """Have a bridge pay later, before its deficit is covered or after."""
    found = _domain(s)
    if found is None:
        return
    _, domain = found
    lost = int(domain.losses[()])
    if lost == 0 and s.chance(0.95):
        return
    who = s.some((s.richest(), s.somebody()))
    yield s.call(domain.label, "recover", min(s.near(lost), s.held("Stablecoin", who)), by=who)


@move(weight=0.5)
def set_a_line(s: Scene) -> Iterator[Action | Wait]:
    """Move a domain's line, also under its debt; set a fee, which it should not have; what is refused."""
    found = _domain(s)
    if found is None:
        return
    parameters, domain = found
    c = domain.collateral_type
    kind = s.random.randrange(8)
    if kind < 3:
        line = s.some((parameters.line, parameters.line + 1, _debt(s, domain) // WAD, 0))
        yield s.call("VaultEngine", "set_debt_ceiling", c, min(line, bounds.MAX_DEBT_CEILING), by=s.admin)
    elif kind < 6:
        yield s.call("VaultEngine", "set_debt_ceiling", c, parameters.line, by=s.admin)
    elif kind == 6:
        yield s.call("VaultEngine", "set_stability_fee", c, s.some((0, 0, 10**18)), by=s.admin)
    else:
        who = s.some((domain.address, s.somebody(), ZERO_ADDRESS))
        calls = (
            ("PriceFeed", "set_issuer", (s.some((c, s.type(), 31)), who)),
            ("PriceFeed", "set_price", (c, s.some((0, 1, RAY, bounds.MAX_PRICE + 1)))),
            ("PriceFeed", "poke", (c,)),
            ("LiquidationEngine", "liquidate", (c, domain.address, s.somebody())),
            (domain.label, "open", ()),
            (domain.label, "report", ()),
        )
        contract, method, args = s.some(calls)
        yield s.call(contract, method, *args, by=s.some((s.admin, s.somebody())))


@move(weight=20)
def redeem_notes(s: Scene) -> Iterator[Action | Wait]:
    """Have a bridge pay in settlement; somebody cashes notes, and gives them up for a share of it."""
    found = _domain(s)
    if found is None or not s.settlement.progress[()].fixed_at:
        return
    _, domain = found
    payer, who = s.richest(), s.some((s.richest(), s.somebody()))
    if s.chance(0.5):
        yield s.call(domain.label, "repay", s.part(max(1, s.held("Stablecoin", payer) // 2)), by=payer)
    c = domain.collateral_type
    rest = int(s.settlement.bags[who]) - int(s.settlement.cashed[c, who])
    if rest and s.chance(0.7):
        yield s.call("Settlement", "cash", c, s.near(rest), by=who)
    yield s.call(domain.label, "redeem", s.near(s.held(domain.label, who)), by=who)

"""The numbered properties that hold in every state, each one assertion over a snapshot.

They are independent of the model's arithmetic: lockstep asserts them on the chain's own values.
The numbers are those of docs/properties.md.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from offchain.errors import BackstopError
from offchain.model.arithmetic import BASIS_POINTS, RAD, RAY, div_up
from offchain.model.collateral_auction import principal_left
from offchain.system import Snapshot


class _Tables:
    """A contract's tables; one that nothing was ever written to is empty."""

    def __init__(self, tables: Mapping[str, Mapping[Hashable, Any]]) -> None:
        self._tables = tables

    def __getitem__(self, path: str) -> Mapping[Any, Any]:
        return self._tables.get(path, {})


class Violation(BackstopError):
    """A property does not hold."""


def balance(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """1: supply*RAY + reserve + buffers == performing + in_auction + deficit, exactly.

    With it, the two figures kept for speed: `system.buffers` and `distressed`.
    """
    engine = _Tables(snapshot["VaultEngine"])
    supply = _Tables(snapshot["Stablecoin"])["erc20.totalSupply"].get((), 0)
    system = engine["ledger.system"].get(())
    types = range(engine["collateral_types"].get((), 0))
    held = owed = coins = 0
    for c in types:
        debts = engine["ledger.debts"][c]
        income = engine["ledger.income"].get(c)
        auctions = engine["ledger.auctions"].get(c)
        deficit = engine["ledger.deficit"].get(c, 0)
        distress = (auctions.in_auction if auctions else 0) + deficit
        owed += debts.normalized_debt * debts.accumulated_rate + distress
        held += income.buffer if income else 0
        coins += div_up(income.buffer, RAD) if income else 0
        _check(debts.distressed == (distress > 0), 1, f"type {c}: distressed is {debts.distressed}")
    held += supply * RAY + (system.reserve if system else 0)
    _check(held == owed, 1, f"the two sides differ by {held - owed} rad")
    _check((system.buffers if system else 0) == coins, 1, f"buffers are {coins} whole stablecoins")


def collateral(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """2: normalized debt = sum over vaults; booked collateral is never above what is held."""
    engine = _Tables(snapshot["VaultEngine"])
    holder = addresses["VaultEngine"]
    names = {address: name for name, address in addresses.items()}
    debts: dict[int, int] = {}
    booked: dict[int, int] = {c: amount for c, amount in engine["ledger.salvage"].items()}
    for (c, _), vault in engine["vaults"].items():
        debts[c] = debts.get(c, 0) + vault.normalized_debt
        booked[c] = booked.get(c, 0) + vault.locked_collateral
    auction = _Tables(snapshot["CollateralAuction"])
    for lot in auction["lots"].values():
        c = lot.collateral_type
        booked[c] = booked.get(c, 0) + lot.lot
    needed: dict[str, int] = {}
    for c, terms in engine["terms"].items():
        total = engine["ledger.debts"][c].normalized_debt
        _check(total == debts.get(c, 0), 2, f"type {c}: the vaults owe {debts.get(c, 0)}, the type {total}")
        raw, rest = divmod(booked.get(c, 0), terms.unit)
        _check(rest == 0, 2, f"type {c}: booked collateral is not a multiple of the token's unit")
        needed[terms.token] = needed.get(terms.token, 0) + raw
    for token, raw in needed.items():
        held = _Tables(snapshot[names[token]])["balanceOf"].get(holder, 0)
        _check(held >= raw, 2, f"{names[token]}: {raw} booked, {held} held")


def auction_limits(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """3: what the limits count is the principal left in live auctions, by type."""
    engine, auction = _Tables(snapshot["VaultEngine"]), _Tables(snapshot["CollateralAuction"])
    live: dict[int, int] = {}
    for id, lot in auction["lots"].items():
        c = lot.collateral_type
        live[c] = live.get(c, 0) + principal_left(lot, auction["tops"][id])
    for c in range(engine["collateral_types"].get((), 0)):
        record = engine["ledger.auctions"].get(c)
        used = record.in_auction if record else 0
        _check(used == live.get(c, 0), 3, f"type {c}: {used} rad counted, {live.get(c, 0)} rad live")


def event_conservation(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """4: created + carried_in == recovered + covered + carried_out + outstanding; caps bind the total."""
    waterfall = _Tables(snapshot["LossWaterfall"])
    deficits = _Tables(snapshot["VaultEngine"])["ledger.deficit"]
    covered: dict[Hashable, int] = {}
    for (c, epoch, k), amount in waterfall["covered"].items():
        covered[c, epoch] = covered.get((c, epoch), 0) + amount
        _check(amount <= waterfall["caps_absolute"].get(k, 0), 4, f"event {c, epoch}: stage {k} over its cap")
        base = waterfall["bases"][c, epoch, k] - 1
        share = waterfall["caps_bps"].get(k, 0)
        fits = share == BASIS_POINTS or amount * BASIS_POINTS <= base * share
        _check(fits, 4, f"event {c, epoch}: stage {k} over its share")
    events = {key for path in ("created", "carried_in") for key in waterfall[path]}
    for c, epoch in events:
        key = (c, epoch)
        brought = waterfall["created"].get(key, 0) + waterfall["carried_in"].get(key, 0)
        gone = waterfall["recovered"].get(key, 0) + covered.get(key, 0) + waterfall["carried_out"].get(key, 0)
        left = waterfall["unresolved"].get(c, 0) if epoch == waterfall["last_epoch"].get(c, 0) else 0
        _check(brought == gone + left, 4, f"event {key}: {brought} rad came, {gone + left} rad went")
        # What income repaid without a stage is noted at the next cover, never the other way round.
        _check(left >= deficits.get(c, 0) or left == 0, 4, f"type {c}: the deficit is more than its events")


STATE_PROPERTIES: tuple[Callable[[Snapshot, Mapping[str, str]], None], ...] = (
    balance,
    collateral,
    auction_limits,
    event_conservation,
)


def check_state(snapshot: Snapshot, addresses: Mapping[str, str]) -> None:
    """Assert every state property; raises Violation with its number."""
    for state_property in STATE_PROPERTIES:
        state_property(snapshot, addresses)


def _check(holds: bool, number: int, detail: str) -> None:
    if not holds:
        raise Violation(f"property {number} is violated: {detail}")

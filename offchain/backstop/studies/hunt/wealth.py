"""What everybody ends with. It adds up to what is there: what nobody has is the house's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import RAY, WAD
from backstop.model.collateral_auction import principal_left
from backstop.simulation.account_value import compute_stake
from backstop.studies.hunt.honest import Town
from backstop.studies.hunt.setting import BANK, COALITION, HONEST, KEEPER, TWINS

HOUSE = "the house"
"""Reserve, buffers, salvage, income and shares without an owner, less what is owed and not backed."""


def wealth(town: Town, prices: Sequence[int], face: bool) -> dict[str, int]:
    """Return what each account and the house could sell for outside, with claims worth all or nothing [wad].

    The coalition as one: less what its own vaults failed to repay, as if it could be held to account. Flags
    are dropped: take it back.
    """
    contracts: dict[str, Any] = dict(town.system.world.contracts)
    # What is only feared did not happen: losses that did are booked by now.
    for c in town.types:
        town.liquidations.type_flags[c] = 0
    coin = _coin(town, prices)
    found = {}
    own_accounts = {*map(get_account, COALITION), *town.crowd}
    owed = sum(town.lost.get(who, 0) for who in own_accounts)
    people = [*map(get_account, (*COALITION, *HONEST)), *sorted(town.crowd), *TWINS, KEEPER, BANK]
    equity = town.setting.parameters.equity
    for who in people:
        total = contracts["Stablecoin"].balances[who] * coin
        for c in town.types:
            unit = town.engine.terms[c].unit
            symbol = town.setting.parameters.collateral_types[c].symbol
            total += contracts[symbol].balances[who] * unit * prices[c]
            vault = town.engine.vaults[c, who]
            debt = vault.normalized_debt * town.engine.debts[c].accumulated_rate
            own = vault.locked_collateral * prices[c] - debt
            total += max(own, 0)
            if own < 0 and who in own_accounts:
                owed -= own
            bag = town.settlement.bags[who] - town.settlement.cashed[c, who]
            total += bag * town.settlement.shares[c] // RAY * prices[c]
        for name, pool in town.pools.items():
            total += compute_stake(pool, who) * coin
            claims = contracts.get(f"{name}.Claims")
            if claims is not None and face and claims.series[()].tokens:
                series = claims.series[()]
                total += claims.balanceOf("", who) * series.outstanding // series.tokens * RAY
        if equity is not None:
            staked = compute_stake(contracts["StakedEquity"], who) if "StakedEquity" in contracts else 0
            total += (contracts["Equity"].balances[who] + staked) * prices[-1]
        found[who] = total // RAY
    for id, lot in town.auction.lots.items():
        if lot.target and town.owner_of(id) in own_accounts:
            left = principal_left(lot, town.auction.tops[id])
            owed += max(0, left - lot.lot * prices[lot.collateral_type])
    everything = 0
    for c in town.types:
        symbol = town.setting.parameters.collateral_types[c].symbol
        held = sum(contracts[symbol].balances.values()) * town.engine.terms[c].unit
        everything += held * prices[c]
    if equity is not None:
        # What is minted all others pay for, what is burned they have.
        everything += equity.supply * WAD * prices[-1]
    coalition = sum(found.pop(who) for who in sorted(own_accounts))
    found[HOUSE] = everything // RAY - sum(found.values()) - coalition
    found["coalition"] = coalition - owed // RAY
    return found


def _coin(town: Town, prices: Sequence[int]) -> int:
    """Return what a coin is worth [ray]: one, or its share of what is left once the books are closed."""
    if not town.settlement.progress[()].fixed_at:
        return RAY
    return sum(town.settlement.shares[c] * prices[c] for c in town.types) // RAY

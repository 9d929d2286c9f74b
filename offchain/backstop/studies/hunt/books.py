"""What everybody has, and what each part of the house has beyond what it owes: counted from outside.

Values are in rad, at prices that the caller gives: two counts at the same prices differ by what was done.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from backstop.deployment.contract_names import STABLECOIN_POOLS
from backstop.deployment.deployment_plan import Deployment
from backstop.model.arithmetic import RAY
from backstop.model.bounds import EQUITY_MARKET as EQUITY
from backstop.model.denominations import VIRTUAL_ASSETS, VIRTUAL_SHARES, convert_shares
from backstop.model.exits import SCALE
from backstop.model.state import World

MICRO_RAD = 10**39
LEDGER, LOTS, WORKOUTS = "the ledger", "auctions", "workouts"
OUTSIDE = "outside"
_NOBODY = frozenset(("VaultEngine", "CollateralAuction", "LossWaterfall", "Stablecoin", "LiquidationEngine"))
"""Exchanges and other contracts that are no part of the protocol."""

Sheet = dict[str, int]
"""Account, or name of a part -> what it has [rad]. A part that owes more than it has is below 0."""


class Prices:
    """Prices that do not change between two counts [ray]."""

    def __init__(self, world: World, tokens: int) -> None:
        contracts: Mapping[str, Any] = world.contracts
        settlement, feed = contracts["Settlement"], contracts["PriceFeed"]
        engine = contracts["VaultEngine"]
        self.types: list[int] = []
        for c in range(engine.type_count[()]):
            final = settlement.final_prices[c]
            self.types.append(int(final.price if final.is_final else feed.prices[c].current))
        self.equity = int(feed.prices[EQUITY].current) or RAY
        fixed = settlement.progress[()].fixed_at
        # A domain's note is worth what whoever holds it makes of it.
        shares = (settlement.shares[c] * self.types[c] // RAY for c in range(tokens))
        self.coin = sum(shares) if fixed else RAY
        self.fixed = bool(fixed)


class Books:
    """The accounts of one deployment."""

    def __init__(self, deployment: Deployment, world: World) -> None:
        self.contracts: Mapping[str, Any] = world.contracts
        self.parts = {deployment.addresses[name]: name for name in deployment.addresses}
        self.symbols = [each.symbol for each in deployment.parameters.collateral_types]
        known = {*self.parts}
        self.outside = {each.address for each in world.contracts.values()} - known
        self.outside |= {at for at, name in self.parts.items() if name.startswith(("Market.", "Flash"))}
        self.domains = {domain.name for domain in deployment.parameters.domains}
        self.pools = [name for name in (*STABLECOIN_POOLS, "StakedEquity") if name in self.contracts]

    def count(self, prices: Prices) -> Sheet:
        """Return what everybody and each part has."""
        found: Sheet = defaultdict(int)
        self._tokens(found, prices)
        self._vaults(found, prices)
        for name in self.pools:
            self._pool(found, name, prices.equity if name == "StakedEquity" else prices.coin)
            if f"{name}.Claims" in self.contracts:
                self._claims(found, f"{name}.Claims", prices.coin)
        if "PerpetualMarket" in self.contracts:
            self._margin(found, prices.coin)
        if "PerpetualBackstop" in self.contracts:
            self._members(found, prices.coin)
        return found

    def _who(self, address: str) -> str:
        return OUTSIDE if address in self.outside else self.parts.get(address, address)

    def _move(self, found: Sheet, part: str, owner: str, value: int) -> None:
        """Count a value as an owner's, and not as the part's that holds it."""
        found[part] -= value
        who = self._who(owner)
        # What strays to a contract is nobody's.
        found[OUTSIDE if who in self.pools or who in _NOBODY else who] += value

    def _tokens(self, found: Sheet, prices: Prices) -> None:
        for who, amount in self.contracts["Stablecoin"].balances.items():
            found[self._who(who)] += amount * prices.coin
        if "Equity" in self.contracts:
            for who, amount in self.contracts["Equity"].balances.items():
                found[self._who(who)] += amount * prices.equity
        for c, symbol in enumerate(self.symbols):
            unit = self.contracts["VaultEngine"].terms[c].unit
            for who, amount in self.contracts[symbol].balances.items():
                found[self._who(who)] += amount * unit * prices.types[c]

    def _vaults(self, found: Sheet, prices: Prices) -> None:
        engine, auction = self.contracts["VaultEngine"], self.contracts["CollateralAuction"]
        price: Sequence[int] = [each if c < len(self.symbols) else 0 for c, each in enumerate(prices.types)]
        for (c, owner), vault in engine.vaults.items():
            self._move(found, "VaultEngine", owner, vault.locked_collateral * price[c])
            found[self._who(owner)] -= vault.normalized_debt * engine.debts[c].accumulated_rate
        for id, lot in auction.lots.items():
            if lot.target:
                c, worth = lot.collateral_type, lot.lot * price[lot.collateral_type]
                self._owed(found, LOTS, self._owner_of(id), worth, lot.target, auction.tops[id])
        if "Workouts" in self.contracts:
            workouts = self.contracts["Workouts"]
            for id, each in workouts.balances.items():
                if each.left:
                    worth, sums = each.lot * price[each.collateral_type], workouts.sums[id]
                    owner = workouts.schedules[id].owner
                    principal = max(0, each.left * RAY - sums.premium * MICRO_RAD - sums.excess)
                    self._split(found, WORKOUTS, owner, worth, each.left * RAY, principal)
        ledger = engine.system[()].reserve
        for c in range(engine.type_count[()]):
            ledger += engine.income[c].buffer - engine.deficit[c]
            if not prices.fixed:
                self._move(found, "VaultEngine", LEDGER, engine.salvage[c] * price[c])
        if not prices.fixed:
            # Collateral of vaults that settlement has settled is owed to whoever has their coins.
            ledger -= engine.settled_debt[()]
        found[LEDGER] += ledger
        settlement = self.contracts["Settlement"]
        if prices.fixed:
            found["VaultEngine"] -= self.contracts["Stablecoin"].supply[()] * prices.coin
            for who, bag in settlement.bags.items():
                for c in range(len(self.symbols)):
                    left = bag - settlement.cashed[c, who]
                    worth = left * settlement.shares[c] // RAY * price[c]
                    self._move(found, "VaultEngine", who, worth)

    def _owner_of(self, id: int) -> str:
        return str(self.contracts["CollateralAuction"].owners[id].owner)

    def _owed(self, found: Sheet, part: str, owner: str, worth: int, target: int, top: Any) -> None:
        principal = max(0, target * RAY - top.penalty * MICRO_RAD - top.excess)
        self._split(found, part, owner if int(owner, 16) else LEDGER, worth, target * RAY, principal)

    def _split(self, found: Sheet, part: str, owner: str, worth: int, due: int, principal: int) -> None:
        """Count of collateral under a debt what is beyond it as the owner's, the rest as the part's."""
        own = max(0, worth - due)
        found["VaultEngine"] -= worth
        found[self._who(owner)] += own
        found[part] += worth - own - principal

    def _pool(self, found: Sheet, name: str, price: int) -> None:
        pool = self.contracts[name]
        state, line = pool.state[()], pool.line[()]
        live = pool.assets[()]
        income = unvested(live, pool.world.timestamp)
        self._move(found, name, f"{name} income", income * price)
        vested = live.booked - income - (line.held if state.open else 0)
        supply = state.supply + VIRTUAL_SHARES

        def worth(shares: int) -> int:
            return int(shares * (vested + VIRTUAL_ASSETS) // supply)

        for owner in pool.holders():
            if owner != pool.address:
                self._move(found, name, owner, worth(pool.held(owner)) * price)
        open = {group.id: group for group in pool.groups()} if pool.KIND == "Pool" else {}
        for (id, owner), request in pool.requests.items():
            if not request.shares:
                continue
            part = pool._claimable(id, owner)
            own, cut = part.assets, max(request.generation, pool.cut_in(id))
            shares = convert_shares(pool.shares_at_cut(id, owner), cut, state.generation)
            settled = id < line.unsettled and pool.KIND == "Pool"
            group = open.get(pool.run_of(id) if settled else id)
            if group is not None:
                own += shares * (group.ceiling - pool.index[()]) // SCALE
            elif not part.over and not settled:
                own += worth(shares)
            self._move(found, name, owner, own * price)

    def _claims(self, found: Sheet, name: str, price: int) -> None:
        claims = self.contracts[name]
        for (generation, owner), balance in claims.balances.items():
            due = balance.shares * (claims.paid[generation] - balance.mark) // RAY
            self._move(found, name, owner, due * price)
        for owner, cash in claims.credits.items():
            self._move(found, name, owner, cash * price)

    def _margin(self, found: Sheet, price: int) -> None:
        """Count accounts that are up to date: haircuts as they are known, and bonds."""
        market = self.contracts["PerpetualMarket"]
        for owner, account in market.accounts.items():
            standing = market._standing(owner)
            bond = market.third_bond * account.bond.bit_count()
            self._move(found, "PerpetualMarket", owner, (standing.own - standing.haircut + bond) * price)
        self._profits(found, price)

    def _members(self, found: Sheet, price: int) -> None:
        """Count what the backstop pool's account has as its members', who are on their way out with them."""
        pool, market = self.contracts["PerpetualBackstop"], self.contracts["PerpetualMarket"]
        state, standing = pool.state[()], market._standing(pool.address)
        bond = market.third_bond * market.accounts[pool.address].bond.bit_count()
        worth = max(0, standing.own - standing.haircut + bond) + VIRTUAL_ASSETS
        held = [(who, pool.held(who)) for who in pool.holders()]
        held += [(who, each.shares) for _, who, each in pool.waiting()]
        for who, shares in held:
            if who != pool.address:
                own = shares * worth // (state.supply + VIRTUAL_SHARES)
                self._move(found, "PerpetualBackstop", who, own * price)

    def _profits(self, found: Sheet, price: int) -> None:
        fund = self.contracts["MarginFund"]
        for (owner, bucket), holding in fund.holdings.items():
            state = fund.buckets[bucket]
            if holding.shares and holding.generation == state.generation:
                self._move(found, "MarginFund", owner, holding.shares * state.assets // state.shares * price)


def unvested(held: Any, now: int) -> int:
    """Return what of a pool's income has not vested [wad]."""
    if now >= held.ends_at:
        return 0
    return -(-held.unvested * (held.ends_at - now) // (held.ends_at - held.vested_at))

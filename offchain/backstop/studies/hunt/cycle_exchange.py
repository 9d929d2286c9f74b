"""The margin market by cycles to hunt in: honest keepers mark, meet and roll each hour."""

from __future__ import annotations

from backstop.deployment.signing import trader
from backstop.studies.hunt.exchange import HONEST, MARKET, OWN, Exchange
from backstop.studies.hunt.setting import KEEPER

_ROUNDS = 8
_HOURS = 100
"""Until all final prices are there."""


class CycleExchange(Exchange):
    """The market with its honest people."""

    MARKET = "PerpetualMarket"

    def step(self, price: int) -> None:
        """Let an hour pass; then marks are the feed's, who owes is met, and the cycle before is final."""
        super().step(price)
        self.do(KEEPER, self.MARKET, "accrue", MARKET)
        self.meet_losses()
        self.do(KEEPER, self.MARKET, "roll")
        self.meet_losses()

    def price(self) -> int:
        """Return the mark [wei a lot]."""
        return int(self.contracts[self.MARKET].paths[MARKET].price)

    def meet_losses(self) -> None:
        """Meet whoever owes, until nothing changes; have the protocol pay what is late."""
        for _ in range(_ROUNDS):
            everyone = self.owners()
            if not any([self.do(KEEPER, self.MARKET, "meet", owner).ok for owner in everyone]):
                break
        if self.unpaid():
            self.do(KEEPER, self.MARKET, "post_shortfall")

    def end(self, who: str = KEEPER) -> bool:
        """Have a market end at its final price; return whether it has."""
        return self.do(who, self.MARKET, "end_market", MARKET).ok

    def settle(self) -> None:
        """Wait for final prices, close at them, and take out what everybody has once all losses are final."""
        price = int(self.contracts["PriceFeed"].prices[MARKET].current)
        for _ in range(_HOURS):
            if self.end():
                break
            super().step(price)
        for owner in self.owners():
            self.do(KEEPER, self.MARKET, "wake", owner)
        for _ in range(3):
            self.step(price)
        for owner in self.owners():
            cash = self.cash(owner)
            if cash > 0:
                self.do(owner, self.MARKET, "withdraw", cash, owner)

    def leave(self) -> None:
        """Have everybody close, against debtors' lots first, and take out what is theirs once it is final."""
        price = int(self.contracts["PriceFeed"].prices[MARKET].current)
        self.step(price)
        names = {trader(name): name for name in (*OWN, *HONEST)}
        for owner in names:
            longs, shorts = self.contracts[self.MARKET].lots[MARKET]
            left = shorts - longs
            if self.size(owner) * left < 0:
                lots = min(abs(self.size(owner)), abs(left))
                self.do(owner, "PerpetualDesk", "take", MARKET, lots)
        for long in names:
            for short in names:
                lots = min(self.size(long), -self.size(short))
                if lots > 0:
                    self.trade(names[short], names[long], lots, self.price())
        for _ in range(3):
            self.step(price)
        super().leave()

    def owners(self) -> list[str]:
        """Return all accounts that ever were."""
        return list(self.contracts[self.MARKET].accounts)

    def size(self, owner: str) -> int:
        """Return a position [lots]."""
        return int(self.contracts[self.MARKET].positions[owner, MARKET].size)

    def equity(self, owner: str, kind: int = 0) -> int:
        """Return what an account is worth at the mark, bond and known haircuts counted [wad]."""
        self.do(KEEPER, self.MARKET, "wake", owner)
        market = self.contracts[self.MARKET]
        standing = self.system.view(self.MARKET, "standing_of", owner)
        bond = market.half_bond * market.accounts[owner].bond.bit_count()
        return int(standing.own - standing.haircut + bond)

    def cash(self, owner: str) -> int:
        """Return what an account without lots may take out [wad]."""
        self.do(KEEPER, self.MARKET, "wake", owner)
        standing = self.system.view(self.MARKET, "standing_of", owner)
        return int(standing.own - standing.haircut - standing.unfinal)

    def unpaid(self) -> int:
        """Return what is late [wad]."""
        return int(self.contracts[self.MARKET].late_table[()])

    def insured(self) -> int:
        """Return what the fund has for losses, with fees and the pot [wad]."""
        market = self.contracts[self.MARKET]
        own = int(market.fee_table[()]) + int(market.pot[()].value)
        return own + int(self.system.view("MarginFund", "insurance_of").amount)

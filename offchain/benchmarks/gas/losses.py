"""Gas after a loss: stages pay, equity is sold, pools are joined and left."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.accounts import account
from backstop.deployment.examples import standard
from backstop.deployment.parameters import EquityParameters, PoolParameters, StageParameters
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from benchmarks.gas.jobs import WETH, XAU, Jobs

MINUTE = 60
YEAR = 365 * 86_400
# Ray a second, which earns thousands for the buffer and the reserve within a year.
HIGH_FEE = 10**19
# The second loss of an event finds its slots in use; the third is measured.
TIMES = 3


class _Losses(Jobs):
    """Jobs on a protocol with equity and these stages, which loses on gold what it has lent."""

    def __init__(self, host: AnvilHost, *stages: str, cooldown: int = 86_400) -> None:
        order, savings = tuple(StageParameters(name) for name in stages), PoolParameters(cooldown)
        parameters = replace(standard(), stages=order, equity=EquityParameters(), savings=savings)
        super().__init__(host, parameters)
        self.lost = 0
        for symbol in ("WETH", "XAU"):
            self.do(symbol, "mint", account("borrower"), 10**28, sender="borrower")
            self.do(symbol, "approve", self.at("VaultEngine"), MAX_UINT256, sender="borrower")
        for _ in range(3):
            self.prices()
        self.draw("borrower", 4_000, 2_000_000)
        for who in ("taker", "saver", "another"):
            self.do("Stablecoin", "transfer", account(who), 400_000 * WAD, sender="borrower")
            self.do("Equity", "transfer", account(who), 10_000 * WAD, sender="admin")

    def prices(self, gold: int = 2_500, equity: int = 100) -> None:
        """Report prices of ether, gold and equity."""
        for market, dollars in ((WETH, 2_000), (XAU, gold), (EQUITY_MARKET, equity)):
            self.price(dollars, market)

    def owe(self) -> str:
        """Open a new vault of gold with a debt of 10,000 and return its owner."""
        who = f"owner_{self.lost}"
        self.lost += 1
        self.do("XAU", "mint", account(who), 10**12, sender=who)
        self.do("XAU", "approve", self.at("VaultEngine"), MAX_UINT256, sender=who)
        for _ in range(2):
            self.prices()
        self.draw(who, 8, 10_000, XAU)
        return who

    def lose(self, equity: int = 100) -> None:
        """Open a new vault of gold and let it become worthless, a loss of about 10,000."""
        who = self.owe()
        for _ in range(2):
            self.price(1, XAU)
        self.liquidate_gold(who)
        for _ in range(4):
            self.prices(1, equity)
        last = self.chain.view("CollateralAuction", "last_id")
        self.do("CollateralAuction", "close", last, sender="stranger")

    def liquidate_gold(self, who: str) -> None:
        """Liquidate a vault of gold."""
        args = XAU, account(who), account("liquidator")
        self.do("LiquidationEngine", "liquidate", *args, sender="liquidator")

    def unsold(self, auction: str) -> int:
        """End a sale of equity that found no buyer and return the gas."""
        self.lose()
        self.cover()
        assert self.deployment.parameters.equity is not None
        self.chain.advance(self.deployment.parameters.equity.duration + 1)
        return self.do(auction, "end", XAU, sender="stranger")

    def cover(self) -> int:
        """Have the stages cover the losses on gold and return the gas."""
        return self.do("LossWaterfall", "cover", XAU, sender="stranger")

    def save(self, pool: str, token: str = "Stablecoin", who: str = "saver", amount: int = 1) -> int:
        """Deposit thousands of a token into a pool and return the gas."""
        self.do(token, "approve", self.at(pool), MAX_UINT256, sender=who)
        return self.do(pool, "deposit", amount * 1_000 * WAD, account(who), sender=who)

    def earn(self) -> None:
        """Charge a year of high fees on ether and gold."""
        self.draw("borrower", 10**9, 1_000_000, XAU)
        for c in (WETH, XAU):
            self.do("VaultEngine", "set_stability_fee", c, HIGH_FEE, sender="admin")
        self.chain.advance(YEAR)
        for c in (WETH, XAU):
            self.do("VaultEngine", "accrue", c, sender="stranger")


class Recapitalisation(_Losses):
    """Jobs of selling new equity as the first stage, so that no other stage's gas is counted."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "minted_equity", "reserve", "savings")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        self.do("Stablecoin", "approve", self.at("MintAuction"), MAX_UINT256, sender="taker")
        for i in range(TIMES):
            # Equity has another price each time.
            self.lose(equity=100 + i)
            used["start"] = self.cover()
            self.chain.advance(MINUTE)
            _, price, lot, _ = self.chain.view("MintAuction", "status", XAU)
            args = XAU, lot, price, account("taker"), b""
            used["fill"] = self.do("MintAuction", "take", *args, sender="taker")
            assert self.chain.view("LossWaterfall", "reserved_of", XAU) == 0
        return {
            "recapitalise: start": used["start"],
            "recapitalise: take": used["fill"],
            "recapitalise": used["start"] + used["fill"],
            "recapitalise: end": self.unsold("MintAuction"),
        }


class Income(_Losses):
    """Jobs of selling surplus for equity, which is burned."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        self.do("Treasury", "set_target", 1_000, sender="admin")
        self.do("Equity", "approve", self.at("SurplusAuction"), MAX_UINT256, sender="taker")
        self.earn()
        used["distribute"] = self.do("Treasury", "distribute", sender="stranger")
        for i in range(TIMES):
            for _ in range(3):
                self.price(100 + i, EQUITY_MARKET)
            start = self.do("SurplusAuction", "start", sender="stranger")
            self.chain.advance(MINUTE)
            args = MAX_UINT256, MAX_UINT256, account("taker"), b""
            take = self.do("SurplusAuction", "take", *args, sender="taker")
            used |= {"sell surplus: start": start, "sell surplus: take": take, "sell surplus": start + take}
        return used


class Pool(_Losses):
    """Jobs of a pool of savings that has members, and no losses."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        self.save("Savings")
        used["deposit new"] = self.save("Savings", who="another", amount=10)
        used["deposit again"] = self.save("Savings", who="another", amount=10)
        who = account("another")
        args = self.chain.view("Savings", "balanceOf", who) // 2, who, who
        used["request"] = self.do("Savings", "requestRedeem", *args, sender="another")
        self.chain.advance(86_400)
        used["cut batch"] = self.do("Savings", "cut", sender="keeper")
        self.chain.advance(self.deployment.parameters.savings.cooldown + 600)
        used["settle batch"] = self.do("Savings", "settle", sender="keeper")
        args = self.chain.view("Savings", "maxWithdraw", who), who, who
        used["claim"] = self.do("Savings", "withdraw", *args, sender="another")
        return used


class OpenPool(_Losses):
    """A job of a pool of savings without a cooldown: half of a member's shares leave at once."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings", cooldown=0)

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        self.save("Savings")
        self.save("Savings", who="another", amount=10)
        who = account("another")
        args = self.chain.view("Savings", "balanceOf", who) // 2, who, who
        return {"redeem shares": self.do("Savings", "redeem", *args, sender="another")}


class Flags(_Losses):
    """A job of flagging the second of two unsafe vaults."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        used: dict[str, int] = {}
        owners = [self.owe() for _ in range(2)]
        for _ in range(2):
            self.price(1, XAU)
        for who in owners:
            args = XAU, account(who)
            used["flag vault"] = self.do("LiquidationEngine", "flag", *args, sender="stranger")
        return used


class StageJobs(_Losses):
    """Jobs of one stage that pays all of a loss: the whole of `cover`."""

    NAMES = "buffer", "reserve", "clawback", "junior", "staked_equity", "redistribution", "savings"

    def __init__(self, host: AnvilHost, name: str) -> None:
        super().__init__(host, *dict.fromkeys((name, "savings")))
        self.name = name

    def run(self) -> dict[str, int]:
        """Return the gas of each job by name."""
        cover, used = 0, dict[str, int]()
        self.save("Savings", amount=200)
        if self.name in ("buffer", "reserve", "redistribution"):
            self.earn()
        if self.name == "junior":
            self.save("Junior", amount=100)
        if self.name == "staked_equity":
            self.save("StakedEquity", "Equity", amount=5)
            self.do("Stablecoin", "approve", self.at("StakeAuction"), MAX_UINT256, sender="taker")
        for _ in range(TIMES):
            self.lose()
            if self.name == "clawback":
                self.do("Savings", "add_income", 50_000 * WAD, sender="saver")
            cover = self.cover()
            if self.name == "staked_equity":
                args = XAU, MAX_UINT256, 10**6 * RAY, account("taker"), b""
                used["staked equity: take"] = self.do("StakeAuction", "take", *args, sender="taker")
        epoch = self.chain.view("LossWaterfall", "last_epoch", XAU)
        assert self.chain.view("LossWaterfall", "covered", XAU, epoch, 0) > 20_000 * RAD
        if self.name == "staked_equity":
            used["staked equity: end"] = self.unsold("StakeAuction")
        return {f"cover: {self.name.replace('_', ' ')}": cover} | used

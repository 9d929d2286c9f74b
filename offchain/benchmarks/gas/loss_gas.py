"""Gas after a loss: stages pay, equity is sold, pools are joined and left."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import EquityParameters, PoolParameters, StageParameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, RAD, RAY, WAD
from backstop.model.bounds import EQUITY_MARKET
from benchmarks.gas.gas_jobs_base import WETH, XAU, GasJobs

MINUTE = 60
YEAR = 365 * 86_400
# Ray a second, which earns thousands for the buffer and the reserve within a year.
HIGH_FEE = 10**19
# The second loss of an event finds its slots in use; the third is measured.
TIMES = 3


class _LossJobs(GasJobs):
    """Base of jobs on a protocol that covers a loss on gold by the given stages of the waterfall.

    The protocol has equity and a savings pool with the given cooldown [seconds].
    """

    def __init__(self, host: AnvilHost, *stages: str, cooldown: int = 86_400) -> None:
        order, savings = tuple(StageParameters(name) for name in stages), PoolParameters(cooldown)
        parameters = replace(
            build_standard_parameters(), stages=order, equity=EquityParameters(), savings=savings
        )
        super().__init__(host, parameters)
        self.lost = 0
        for symbol in ("WETH", "XAU"):
            self.send_call_and_return_gas(symbol, "mint", get_account("borrower"), 10**28, sender="borrower")
            self.send_call_and_return_gas(
                symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender="borrower"
            )
        for _ in range(3):
            self.report_prices()
        self.deposit_and_draw("borrower", 4_000, 2_000_000)
        for who in ("taker", "saver", "another"):
            self.send_call_and_return_gas(
                "Stablecoin", "transfer", get_account(who), 400_000 * WAD, sender="borrower"
            )
            self.send_call_and_return_gas(
                "Equity", "transfer", get_account(who), 10_000 * WAD, sender="admin"
            )

    def report_prices(self, gold: int = 2_500, equity: int = 100) -> None:
        """Report the prices of ether, gold and equity [dollars]; ether stays at 2,000."""
        for market, dollars in ((WETH, 2_000), (XAU, gold), (EQUITY_MARKET, equity)):
            self.report_price(dollars, market)

    def open_gold_vault(self) -> str:
        """Open a gold vault with a debt of 10,000 stablecoins, and return its new owner's name."""
        who = f"owner_{self.lost}"
        self.lost += 1
        self.send_call_and_return_gas("XAU", "mint", get_account(who), 10**12, sender=who)
        self.send_call_and_return_gas(
            "XAU", "approve", self.get_address("VaultEngine"), MAX_UINT256, sender=who
        )
        for _ in range(2):
            self.report_prices()
        self.deposit_and_draw(who, 8, 10_000, XAU)
        return who

    def lose_gold_vault(self, equity_price: int = 100) -> None:
        """Cause a loss of about 10,000 stablecoins by a gold vault with worthless collateral.

        The vault is liquidated and its auction closed. `equity_price` is reported meanwhile [dollars].
        """
        who = self.open_gold_vault()
        for _ in range(2):
            self.report_price(1, XAU)
        self.liquidate_gold(who)
        for _ in range(4):
            self.report_prices(1, equity_price)
        last = self.chain.view("CollateralAuction", "last_id")
        self.send_call_and_return_gas("CollateralAuction", "close", last, sender="stranger")

    def liquidate_gold(self, who: str) -> None:
        """Liquidate the gold vault of `who`."""
        args = XAU, get_account(who), get_account("liquidator")
        self.send_call_and_return_gas("LiquidationEngine", "liquidate", *args, sender="liquidator")

    def end_unsold_auction(self, auction: str) -> int:
        """Cause a loss, let the sale that covers it expire without a buyer, and end the sale.

        Return the gas of the last call. `auction` is the name of the auction contract.
        """
        self.lose_gold_vault()
        self.cover_losses()
        assert self.deployment.parameters.equity is not None
        self.chain.advance(self.deployment.parameters.equity.duration + 1)
        return self.send_call_and_return_gas(auction, "end", XAU, sender="stranger")

    def cover_losses(self) -> int:
        """Cover the losses on gold by the stages of the waterfall, and return the gas."""
        return self.send_call_and_return_gas("LossWaterfall", "cover", XAU, sender="stranger")

    def measure_pool_deposit_gas(
        self, pool: str, token: str = "Stablecoin", account: str = "saver", thousands: int = 1
    ) -> int:
        """Deposit `thousands` x 1,000 whole tokens of an account into a pool, and return the gas."""
        self.send_call_and_return_gas(token, "approve", self.get_address(pool), MAX_UINT256, sender=account)
        return self.send_call_and_return_gas(
            pool, "deposit", thousands * 1_000 * WAD, get_account(account), sender=account
        )

    def earn_stability_fees(self) -> None:
        """Accrue a year of very high stability fees on ether and gold."""
        self.deposit_and_draw("borrower", 10**9, 1_000_000, XAU)
        for c in (WETH, XAU):
            self.send_call_and_return_gas("VaultEngine", "set_stability_fee", c, HIGH_FEE, sender="admin")
        self.chain.advance(YEAR)
        for c in (WETH, XAU):
            self.send_call_and_return_gas("VaultEngine", "accrue", c, sender="stranger")


class RecapitalisationJobs(_LossJobs):
    """Measured jobs of a recapitalisation: the first stage of the waterfall sells new equity.

    No other stage pays, so that the gas of other stages is not counted.
    """

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "minted_equity", "reserve", "savings")

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "recapitalise: take", by job name."""
        used: dict[str, int] = {}
        self.send_call_and_return_gas(
            "Stablecoin", "approve", self.get_address("MintAuction"), MAX_UINT256, sender="taker"
        )
        for i in range(TIMES):
            # Equity has another price each time.
            self.lose_gold_vault(equity_price=100 + i)
            used["start"] = self.cover_losses()
            self.chain.advance(MINUTE)
            _, price, lot, _ = self.chain.view("MintAuction", "status", XAU)
            args = XAU, lot, price, get_account("taker"), b""
            used["fill"] = self.send_call_and_return_gas("MintAuction", "take", *args, sender="taker")
            assert self.chain.view("LossWaterfall", "reserved_of", XAU) == 0
        return {
            "recapitalise: start": used["start"],
            "recapitalise: take": used["fill"],
            "recapitalise": used["start"] + used["fill"],
            "recapitalise: end": self.end_unsold_auction("MintAuction"),
        }


class IncomeJobs(_LossJobs):
    """Measured jobs that distribute income and sell surplus for equity, which is burned."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "sell surplus: start", by job name."""
        used: dict[str, int] = {}
        self.send_call_and_return_gas("Treasury", "set_target", 1_000, sender="admin")
        self.send_call_and_return_gas(
            "Equity", "approve", self.get_address("SurplusAuction"), MAX_UINT256, sender="taker"
        )
        self.earn_stability_fees()
        used["distribute"] = self.send_call_and_return_gas("Treasury", "distribute", sender="stranger")
        for i in range(TIMES):
            for _ in range(3):
                self.report_price(100 + i, EQUITY_MARKET)
            start = self.send_call_and_return_gas("SurplusAuction", "start", sender="stranger")
            self.chain.advance(MINUTE)
            args = MAX_UINT256, MAX_UINT256, get_account("taker"), b""
            take = self.send_call_and_return_gas("SurplusAuction", "take", *args, sender="taker")
            used |= {"sell surplus: start": start, "sell surplus: take": take, "sell surplus": start + take}
        return used


class SavingsPoolJobs(_LossJobs):
    """Measured jobs of a savings pool that already has members and has had no losses."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "deposit new", by job name."""
        used: dict[str, int] = {}
        self.measure_pool_deposit_gas("Savings")
        used["deposit new"] = self.measure_pool_deposit_gas("Savings", account="another", thousands=10)
        used["deposit again"] = self.measure_pool_deposit_gas("Savings", account="another", thousands=10)
        who = get_account("another")
        args = self.chain.view("Savings", "balanceOf", who) // 2, who, who
        used["request"] = self.send_call_and_return_gas("Savings", "requestRedeem", *args, sender="another")
        self.chain.advance(86_400)
        used["cut batch"] = self.send_call_and_return_gas("Savings", "cut", sender="keeper")
        self.chain.advance(self.deployment.parameters.savings.cooldown + 600)
        used["settle batch"] = self.send_call_and_return_gas("Savings", "settle", sender="keeper")
        args = self.chain.view("Savings", "maxWithdraw", who), who, who
        used["claim"] = self.send_call_and_return_gas("Savings", "withdraw", *args, sender="another")
        return used


class NoCooldownPoolJobs(_LossJobs):
    """Measured job of a savings pool without a cooldown: a member redeems half of its shares."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings", cooldown=0)

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of the job "redeem shares", by job name."""
        self.measure_pool_deposit_gas("Savings")
        self.measure_pool_deposit_gas("Savings", account="another", thousands=10)
        who = get_account("another")
        args = self.chain.view("Savings", "balanceOf", who) // 2, who, who
        return {"redeem shares": self.send_call_and_return_gas("Savings", "redeem", *args, sender="another")}


class VaultFlagJobs(_LossJobs):
    """Measured job of flagging an unsafe vault as a keeper, after another vault was flagged."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, "buffer", "reserve", "savings")

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of the job "flag vault", by job name."""
        used: dict[str, int] = {}
        owners = [self.open_gold_vault() for _ in range(2)]
        for _ in range(2):
            self.report_price(1, XAU)
        for who in owners:
            args = XAU, get_account(who)
            used["flag vault"] = self.send_call_and_return_gas(
                "LiquidationEngine", "flag", *args, sender="stranger"
            )
        return used


class StageJobs(_LossJobs):
    """Measured jobs of one stage of the waterfall that pays a loss in full.

    The gas is that of the entire call of `cover`.
    """

    NAMES = "buffer", "reserve", "clawback", "junior", "staked_equity", "redistribution", "savings"

    def __init__(self, host: AnvilHost, name: str) -> None:
        super().__init__(host, *dict.fromkeys((name, "savings")))
        self.name = name

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of `cover` by this stage, and of its equity sales if it has any, by job name."""
        cover, used = 0, dict[str, int]()
        self.measure_pool_deposit_gas("Savings", thousands=200)
        if self.name in ("buffer", "reserve", "redistribution"):
            self.earn_stability_fees()
        if self.name == "junior":
            self.measure_pool_deposit_gas("Junior", thousands=100)
        if self.name == "staked_equity":
            self.measure_pool_deposit_gas("StakedEquity", "Equity", thousands=5)
            self.send_call_and_return_gas(
                "Stablecoin", "approve", self.get_address("StakeAuction"), MAX_UINT256, sender="taker"
            )
        for _ in range(TIMES):
            self.lose_gold_vault()
            if self.name == "clawback":
                self.send_call_and_return_gas("Savings", "add_income", 50_000 * WAD, sender="saver")
            cover = self.cover_losses()
            if self.name == "staked_equity":
                args = XAU, MAX_UINT256, 10**6 * RAY, get_account("taker"), b""
                used["staked equity: take"] = self.send_call_and_return_gas(
                    "StakeAuction", "take", *args, sender="taker"
                )
        epoch = self.chain.view("LossWaterfall", "last_epoch", XAU)
        assert self.chain.view("LossWaterfall", "covered", XAU, epoch, 0) > 20_000 * RAD
        if self.name == "staked_equity":
            used["staked equity: end"] = self.end_unsold_auction("StakeAuction")
        return {f"cover: {self.name.replace('_', ' ')}": cover} | used

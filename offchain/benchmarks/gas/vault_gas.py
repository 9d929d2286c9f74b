"""Gas of vaults, liquidations, auctions and settlement, without guards and with all of them."""

from __future__ import annotations

from backstop.contract_base import ZERO_ADDRESS
from backstop.deployment.role_accounts import get_account
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from benchmarks.gas.gas_jobs_base import WETH, GasJobs

HOUR = 3_600


class VaultJobs(GasJobs):
    """Measured jobs of vaults, liquidations, auctions and settlement."""

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "draw again", by job name."""
        used: dict[str, int] = {}
        for who in ("borrower", "saver", "liquidator", "taker", "stranger", "another"):
            self.send_call_and_return_gas(self.symbol, "mint", get_account(who), 10_000 * WAD, sender=who)
            self.send_call_and_return_gas(
                self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender=who
            )
        for _ in range(3):
            self.report_price(2_000)

        # An earlier user makes sure that no slot of the type or of the system is new.
        self.deposit_and_draw("saver", 1_000, 500_000)
        self.chain.advance(365 * 86_400)
        self.send_call_and_return_gas("VaultEngine", "accrue", WETH, sender="stranger")
        self.report_price(2_000)
        self.report_price(2_000)
        used["price update"] = self.chain.gas
        self.deposit_and_draw("saver", 10, 5_000)
        self.chain.advance(86_400)
        used["accrue"] = self.send_call_and_return_gas("VaultEngine", "accrue", WETH, sender="stranger")
        self.report_price(2_000)

        used["open"] = self.deposit_and_draw("borrower", 10, 8_000)
        self.chain.advance(HOUR)
        used["draw again"] = self.deposit_and_draw("borrower", 10, 8_000)
        self.chain.advance(HOUR)
        used["repay part"] = self.repay_debt("borrower", 1_000 * WAD, 1)
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("borrower"), 1_000 * WAD, sender="saver"
        )
        self.chain.advance(HOUR)
        used["repay all"] = self.repay_debt("borrower", MAX_UINT256, 19)

        # Steady state: auctions under way, keepers with both tokens, a reserve that pays rewards.
        for i in range(4):
            self.send_call_and_return_gas(
                self.symbol, "mint", get_account(f"owner_{i}"), 10 * WAD, sender="stranger"
            )
            self.send_call_and_return_gas(
                self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender=f"owner_{i}"
            )
            self.report_price(2_000)
            self.deposit_and_draw(f"owner_{i}", 10, 12_000)
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("taker"), 30_000 * WAD, sender="saver"
        )
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("liquidator"), 100 * WAD, sender="saver"
        )
        self.report_price(1_500)
        self.report_price(1_500)
        for i in (0, 1, 3):
            self.liquidate_vault(i)
        self.chain.advance(12)
        used["liquidate"] = self.liquidate_vault(2)
        last = self.chain.view("CollateralAuction", "last_id")
        self.chain.advance(600)
        self.take_auction(last, WAD)
        self.chain.advance(12)
        used["take part"] = self.take_auction(last, WAD)
        self.chain.advance(12)
        used["take all"] = self.take_auction(last, MAX_UINT256)
        used["liquidate + take all"] = used["liquidate"] + used["take all"]
        market = self.fund_constant_product_market(1_500)
        used["flash take"] = self.flash_take(last - 1, market)
        used["flash take"] = self.flash_take(last - 2, market)

        self.report_price(1_450)
        used["report"] = self.send_call_and_return_gas(
            "PriceFeed", "report", WETH, 1_450 * RAY, sender=self.reporters[0]
        )
        self.report_price(1_450)
        self.report_price(1_450)
        args = (1, get_account("liquidator"))
        used["reset"] = self.send_call_and_return_gas(
            "CollateralAuction", "reset", *args, sender="liquidator"
        )
        # Sold out under the principal: what is left is a loss.
        self.chain.advance(6_000)
        self.take_auction(1, MAX_UINT256)
        used["close"] = self.send_call_and_return_gas("CollateralAuction", "close", 1, sender="stranger")
        used["cover"] = self.send_call_and_return_gas("LossWaterfall", "cover", WETH, sender="stranger")
        return (
            used
            | self.measure_settlement(last)
            | {"submit signed reports": self.submit_signed_reports(1_450)}
        )

    def measure_settlement(self, last_auction_id: int) -> dict[str, int]:
        """Settle the protocol, its final shutdown, and return the gas of each step by job name."""
        used: dict[str, int] = {}
        for i in range(4, 7):
            self.send_call_and_return_gas(
                self.symbol, "mint", get_account(f"owner_{i}"), 30 * WAD, sender="stranger"
            )
            self.send_call_and_return_gas(
                self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender=f"owner_{i}"
            )
            self.deposit_and_draw(f"owner_{i}", 30, 12_000)
        self.send_call_and_return_gas("Settlement", "announce", sender="admin")
        used["record deficit breach"] = self.send_call_and_return_gas(
            "Settlement", "record_deficit_breach", sender="stranger"
        )
        self.chain.advance(self.deployment.parameters.settlement.delay)
        used["begin settlement"] = self.send_call_and_return_gas("Settlement", "begin", sender="stranger")
        for auction in range(1, last_auction_id + 1):
            if self.chain.view("CollateralAuction", "position_of", auction)[1] != ZERO_ADDRESS:
                used["unwind"] = self.send_call_and_return_gas(
                    "CollateralAuction", "unwind", auction, sender="stranger"
                )
        for price in (1_450, 1_450, 1_450, 1_450):
            self.chain.advance(2 * 3_600)
            self.report_price(price)
        used["fix price"] = self.send_call_and_return_gas("Settlement", "fix_price", WETH, sender="stranger")
        for i in range(7):
            who = get_account(f"owner_{i}")
            if self.chain.view("VaultEngine", "vault", WETH, who)[1]:
                used["skim"] = self.send_call_and_return_gas(
                    "Settlement", "skim", WETH, who, sender="stranger"
                )
        self.send_call_and_return_gas("Settlement", "skim", WETH, get_account("saver"), sender="stranger")
        used["fix redemption rates"] = self.send_call_and_return_gas(
            "Settlement", "fix_redemption_rates", sender="stranger"
        )
        for _ in range(2):
            used["redeem"] = self.send_call_and_return_gas(
                "Settlement", "redeem", 1_000 * WAD, sender="saver"
            )
        for _ in range(2):
            used["cash"] = self.send_call_and_return_gas(
                "Settlement", "cash", WETH, 1_000 * WAD, sender="saver"
            )
        return used

    def fund_constant_product_market(self, dollar_price: int) -> str:
        """Add 100 ether and as many dollars to a market at a price [dollars]; return its address."""
        market = f"Market.{self.symbol}"
        self.send_call_and_return_gas(
            self.symbol, "mint", get_account("market_maker"), 100 * WAD, sender="market_maker"
        )
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("market_maker"), 100 * dollar_price * WAD, sender="saver"
        )
        for token in (self.symbol, "Stablecoin"):
            self.send_call_and_return_gas(
                token, "approve", self.get_address(market), MAX_UINT256, sender="market_maker"
            )
        self.send_call_and_return_gas(
            market, "set_liquidity", 100 * WAD, 100 * dollar_price * WAD, sender="market_maker"
        )
        return self.get_address(market)

    def flash_take(self, auction: int, market: str) -> int:
        """Buy one ether from an auction without capital, by a flash sale, and return the gas.

        The FlashTaker contract sells the ether on the market and keeps the profit.
        """
        self.chain.advance(1_800)
        args = (auction, WAD, 2_000 * RAY, market, 0)
        return self.send_call_and_return_gas("FlashTaker", "take_and_sell", *args, sender="taker")

    def liquidate_vault(self, i: int) -> int:
        """Liquidate the ether vault of `owner_{i}`, and return the gas."""
        args = (WETH, get_account(f"owner_{i}"), get_account("liquidator"))
        return self.send_call_and_return_gas("LiquidationEngine", "liquidate", *args, sender="liquidator")

    def take_auction(self, auction: int, amount: int) -> int:
        """Buy at most `amount` of collateral [wad] from an auction, and return the gas."""
        args = (auction, amount, 2_000 * RAY, get_account("taker"), b"")
        return self.send_call_and_return_gas("CollateralAuction", "take", *args, sender="taker")


class GuardedVaultJobs(VaultJobs):
    """The vault jobs of VaultJobs, with every guard enabled."""

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of the five jobs that guards affect, by job name."""
        used = super().measure_gas_by_job()
        return {
            f"{name} with guards": used[name]
            for name in ("open", "draw again", "repay part", "repay all", "liquidate")
        }

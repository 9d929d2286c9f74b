"""Perpetual markets in the tests, on the model alone or in lockstep, and the accounts' actions there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from backstop.contract_base import RevertError
from backstop.deployment.contracts_by_parameter_name import BY_CYCLE
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.model_and_chain_deployment import deploy_protocol
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.model_system import ModelSystem
from backstop.model.arithmetic import MAX_UINT256, RAY, WAD
from backstop.model.bridge_facilitator import BridgeFacilitator
from backstop.model.interfaces import Standing
from backstop.model.margin_orders import Order
from backstop.model.perpetual_market import PerpetualMarket, Rules
from backstop.model.perpetual_trading import Rules as TradingRules
from backstop.model.ranked_deleveraging import compute_gain_to_worth_score, get_side_gain
from backstop.proof.local_protocol import LocalProtocol, limit_checks_to_written_slots
from backstop.proof.lockstep import ProtocolLockstep
from backstop.system import Action
from tests.support.margin_order_steps import with_margin

ETH, BTC = 0, 1
"""The markets, and the feed's: a lot is a hundredth of an ether, a thousandth of a bitcoin."""
LOTS = {ETH: WAD // 100, BTC: WAD // 1_000}
START = {ETH: 2_000, BTC: 60_000}
RULES = Rules(window=1_800, quiet=300, mark_age=60, third_bond=0)
TRADING_RULES = TradingRules(band=50, maker_fee=0, taker_fee=0, fee_share=1_000, divergence=0)
HOUSE, TRADING, FUND, ORDERS = "PerpetualMarket", "PerpetualTrading", "MarginFund", "MarginOrders"
CLOSER = "PerpetualCloser"


def build_cycle_market_parameters(third_bond: int = 0, policy: str = BY_CYCLE, **desk: int) -> Parameters:
    """A deployment with such a market, and some of the rules otherwise; the third of a bond in wad."""
    rules, trading_rules = RULES._asdict(), TRADING_RULES._replace(**desk)._asdict()
    rules["third_bond"] = third_bond // WAD
    return with_margin(cap=10**9, policy=policy, **rules, **trading_rules)


class Perpetuals:
    """The perpetual market of a deployment, actions on it, and its books."""

    def __init__(self, system: ModelSystem | ProtocolLockstep, money: int = 10**7) -> None:
        self.system = system
        self.model = system.model if isinstance(system, ProtocolLockstep) else system
        self.world = self.model.world
        self._nonce = 0
        for feed, price in START.items():
            self.post(feed, price)
        self._draw_stablecoin_for_rich(money * WAD)
        for spender in (HOUSE, FUND):
            self.do(
                "Stablecoin.approve",
                self.get_contract_or_account_address(spender),
                MAX_UINT256,
                sender="rich",
            )

    # ---------------------------------------------------------------- the system

    def get_contract_or_account_address(self, name: str) -> str:
        """The address of a contract or of an account."""
        found = self.world.contracts.get(name)
        if found:
            return found.address
        return (
            get_account(name) if name.startswith(("0x", "admin", "reporter_")) else get_trader_account(name)
        )

    def do(self, call: str, *args: Any, sender: str) -> Any:
        """Run "Contract.method"; its value, or Revert."""
        contract, method = call.rsplit(".", 1)
        outcome = self.system.apply(
            Action(contract, method, args, self.get_contract_or_account_address(sender))
        )
        if outcome.reason is not None:
            raise RevertError(outcome.reason)
        return outcome.value

    def apply_call_and_report_success(self, call: str, *args: Any, sender: str) -> bool:
        """Run it; whether it went."""
        contract, method = call.rsplit(".", 1)
        return (
            self.system.apply(
                Action(contract, method, args, self.get_contract_or_account_address(sender))
            ).reason
            is None
        )

    def advance_clock(self, seconds: int) -> None:
        self.system.advance(seconds)

    @property
    def market(self) -> PerpetualMarket:
        """The model's."""
        found = self.world.contracts[HOUSE]
        assert isinstance(found, PerpetualMarket)
        return found

    def create_market(self, name: str, desk: str, rules: Rules = RULES) -> None:
        """Create another market, with a desk of its own; it shares the fund's money with no other market."""
        engine, policy, coin = (
            self.get_contract_or_account_address(each)
            for each in ("VaultEngine", "MarginPolicy", "Stablecoin")
        )
        wired = (engine, policy, coin, desk, self.get_contract_or_account_address(FUND))
        assert isinstance(self.system, ProtocolLockstep)
        self.system.create_contract(HOUSE, name, wired, tuple(rules))

    def read(self, call: str, *args: Any) -> Any:
        """Call the view "Contract.method"."""
        contract, method = call.rsplit(".", 1)
        if isinstance(self.system, ProtocolLockstep):
            return self.system.view(contract, method, *args)
        return getattr(self.world.contracts[contract], method)(
            self.get_contract_or_account_address("stranger"), *args
        )

    def _draw_stablecoin_for_rich(self, amount: int) -> None:
        """Draw stablecoin for `rich` from a well-secured vault."""
        locked = amount * 3 // START[ETH]
        self.do("WETH.mint", self.get_contract_or_account_address("rich"), locked, sender="rich")
        self.do(
            "WETH.approve", self.get_contract_or_account_address("VaultEngine"), MAX_UINT256, sender="rich"
        )
        args = (
            0,
            self.get_contract_or_account_address("rich"),
            locked,
            amount,
            self.get_contract_or_account_address("rich"),
        )
        self.do("VaultEngine.deposit_and_draw", *args, sender="rich")

    # -------------------------------------------------------------------- prices

    def report(self, feed: int, price: int, low: int | None = None, high: int | None = None) -> None:
        """All reporters say a price [ray for 1e18] now, and a range in which it has been until now."""
        args = feed, price, price if low is None else low, price if high is None else high
        with limit_checks_to_written_slots(self.system):
            for index in range(3):
                self.say(f"reporter_{index + 1}", *args)
        self.say("reporter_4", *args)

    def say(
        self, reporter: str, feed: int, price: int, low: int | None = None, high: int | None = None
    ) -> None:
        """One reporter says so; without a range that the price stood still until now."""
        ends = price if low is None else low, price if high is None else high
        self.do("PriceFeed.report_range", feed, price, *ends, 0, sender=reporter)

    def post(self, feed: int, dollars: int) -> None:
        """Make a price the core's as well."""
        for _ in range(2):
            self.advance_clock(3_600)
            self.report(feed, dollars * RAY)
            self.do("PriceFeed.poke", feed, sender="keeper")

    def mark(self, market: int, mark: int, *ends: int) -> None:
        """Update a market's mark to a price [wei a lot], with the range of the seconds before."""
        self.report(market, *(-(-each * RAY // LOTS[market]) for each in (mark, *ends)))
        self.do(f"{HOUSE}.accrue", market, sender="keeper")
        assert self.price(market) == mark

    def report_current_prices_again(self) -> None:
        """Report all prices again, unchanged and with the current time."""
        for market in START:
            self.mark(market, self.price(market) or START[market] * LOTS[market])

    def price(self, market: int) -> int:
        """The mark [wei a lot]."""
        return int(self.market.paths[market].price)

    # -------------------------------------------------------------------- people

    def deposit(self, name: str, amount: int) -> None:
        """Wad, into an account."""
        self.do(f"{HOUSE}.deposit", self.get_contract_or_account_address(name), amount, sender="rich")

    def trade(
        self, maker: str, taker: str, lots: int, market: int = ETH, price: int | None = None, **more: bool
    ) -> None:
        """The maker buys lots (or sells, under zero) of the taker, at a price or the mark.

        `maker_reduces` and `taker_reduces` say that an order may only reduce.
        """
        args = self._sign_order_pair(maker, taker, lots, market, price, **more)
        self.do(f"{ORDERS}.fill", *args, sender="matcher")

    def trades(self, maker: str, taker: str, lots: int, market: int = ETH, price: int | None = None) -> bool:
        """The same; whether it went."""
        args = self._sign_order_pair(maker, taker, lots, market, price)
        return self.apply_call_and_report_success(f"{ORDERS}.fill", *args, sender="matcher")

    def _sign_order_pair(
        self,
        maker: str,
        taker: str,
        lots: int,
        market: int,
        price: int | None,
        maker_reduces: bool = False,
        taker_reduces: bool = False,
    ) -> tuple[Any, ...]:
        """Signed orders of both, that no other is equal to."""
        self._nonce += 1
        at, found = self.price(market) if price is None else price, list[Any]()
        for name, size, reduces in ((maker, lots, maker_reduces), (taker, -lots, taker_reduces)):
            order = Order(
                self.get_contract_or_account_address(name),
                market,
                size,
                at,
                MAX_UINT256,
                self._nonce,
                reduces,
            )
            found += [
                order,
                sign_order(name, order, self.world.chain_id, self.get_contract_or_account_address(ORDERS)),
            ]
        return *found, abs(lots)

    def seize_insolvent(self, name: str, by: str = "keeper") -> bool:
        """Whether there was something to do."""
        return self.apply_call_and_report_success(
            f"{HOUSE}.seize_insolvent", self.get_contract_or_account_address(name), sender=by
        )

    def seize_repeatedly_and_count_rounds(self, account_names: list[str] | None = None) -> int:
        """Meet all accounts, in an order, until nothing changes; how many rounds."""
        for rounds in range(100):
            if not sum(
                [self.seize_insolvent(name) for name in account_names or self.list_accounts_ever_opened()]
            ):
                return rounds
        raise AssertionError("it does not end")

    def advance_cycle(self) -> None:
        """Wait for the window and roll."""
        clock = self.market.clocks[()]
        soonest = max(clock.rolled_at + RULES.window, clock.booked_at + RULES.quiet)
        self.advance_clock(max(0, soonest - self.world.timestamp))
        self.report_current_prices_again()
        self.do(f"{HOUSE}.advance_cycle", sender="keeper")
        # What was booked and is not needed is insurance once its account is touched.
        booked = {owner for (owner, _), each in self.market.pendings.items() if each.booked}
        for owner in sorted(booked):
            self.do(f"{HOUSE}.update_account", owner, sender="keeper")

    def seize_and_roll_until_final(self) -> None:
        """Meet all and roll until all of today is final."""
        for _ in range(3):
            self.seize_repeatedly_and_count_rounds()
            self.advance_cycle()
        self.wake_all()

    def wake_all(self) -> None:
        for owner in self.list_accounts_ever_opened():
            self.do(f"{HOUSE}.update_account", owner, sender="keeper")

    def list_accounts_ever_opened(self) -> list[str]:
        """All accounts that ever were."""
        return [*self.market.accounts]

    def standing(self, name: str) -> Standing:
        """Return an account's position and value, once it is up to date."""
        self.do(f"{HOUSE}.update_account", self.get_contract_or_account_address(name), sender="keeper")
        return self.market._compute_standing(self.get_contract_or_account_address(name))

    def equity(self, name: str) -> int:
        """With the haircuts that are known, wad."""
        found = self.standing(name)
        return found.own - found.haircut

    def size(self, name: str, market: int = ETH) -> int:
        """Lots."""
        return int(self.market.positions[self.get_contract_or_account_address(name), market].size)

    def count_unassigned_lots(self, market: int = ETH) -> int:
        """Lots that were taken from debtors; above zero if these were long."""
        long, short = self.market.lots[market]
        return int(short - long)

    def set_loss_line_to_zero(self) -> None:
        """Set the protocol's loss line for the market to zero: it absorbs no more losses."""
        self.set_line(0)

    def set_line(self, stablecoins: int) -> None:
        """Set the most that the protocol absorbs of the market's losses."""
        line = self.world.contracts["Perpetuals"]
        assert isinstance(line, BridgeFacilitator)
        self.do("VaultEngine.set_debt_ceiling", line.collateral_type, stablecoins, sender="admin")

    # ------------------------------------------------------------------- closings

    def list_ranking(self, side: int, market: int = ETH) -> tuple[str, ...]:
        """Return the winners on a side in the pending cycle, in the order of rank."""
        ranks = []
        for owner in self.list_accounts_ever_opened():
            gains = self.do(f"{HOUSE}.gains_of", owner, market, sender="keeper")
            if get_side_gain(gains, side):
                ranks.append((compute_gain_to_worth_score(gains, side), int(owner, 16), owner))
        return tuple(owner for _, _, owner in sorted(ranks, reverse=True))

    def submit(self, side: int, accounts: tuple[str, ...], by: str = "prover", market: int = ETH) -> None:
        """Go on with a ranking."""
        self.do(f"{CLOSER}.submit", market, side, accounts, sender=by)

    def execute_ranked_deleveraging(
        self, side: int, accounts: tuple[str, ...], by: str = "keeper", market: int = ETH
    ) -> int:
        """Close accounts of a proven ranking; return the lots that are still unassigned."""
        return int(self.do(f"{CLOSER}.execute", market, side, accounts, sender=by))

    def execute_pro_rata_deleveraging(
        self, side: int, *names: str, by: str = "keeper", market: int = ETH
    ) -> int:
        """Close the parts of accounts; return the lots that are still unassigned."""
        accounts = tuple(
            sorted(
                (self.get_contract_or_account_address(name) for name in names), key=lambda each: int(each, 16)
            )
        )
        return int(self.do(f"{CLOSER}.share", market, side, accounts, sender=by))

    # --------------------------------------------------------------------- books

    def check_market_books(self) -> None:
        """Check the invariants that hold after every call, and once all accounts are touched."""
        check_books(self.market)

    def check_books_after_touching_all(self) -> None:
        """Check the same, and the invariants of accounts that are up to date; the changes are reverted."""
        with self.model.fork_state():
            for owner in self.list_accounts_ever_opened():
                self.market._settle_missed_cycles(owner)
            check_books(self.market)
            check_gains_match_market_totals(self.market)


def deploy_perpetuals(
    new_protocol: Callable[..., LocalProtocol], third_bond: int = 0, policy: str = BY_CYCLE, **desk: int
) -> Perpetuals:
    """A market in lockstep, with marks, and some of the rules otherwise."""
    made = Perpetuals(new_protocol(build_cycle_market_parameters(third_bond, policy, **desk)).lockstep)
    made.report_current_prices_again()
    return made


def open_long_and_two_shorts(market: Perpetuals) -> Perpetuals:
    """The same with two shorts of 500 lots and a long of 1,000, at 20 a lot; with 3,000 it fails under 17."""
    for name, amount in (("long", 3_000), ("first", 10_000), ("second", 10_000), ("other", 10_000)):
        market.deposit(name, amount * WAD)
    market.trade("long", "first", 500)
    market.trade("long", "second", 500)
    return market


def open_equal_shorts(market: Perpetuals) -> Perpetuals:
    """Open two equal shorts of 500 lots, at 20 against a maker that fails under 17.

    The first has two accounts.
    """
    names = (("maker", 3_000), ("attacker", 10_000), ("bystander", 10_000), ("second_self", 20_000))
    for name, amount in names:
        market.deposit(name, amount * WAD)
    for name in ("attacker", "bystander"):
        market.trade("maker", name, 500)
    return market


def settle_and_read_equities_and_loss(market: Perpetuals) -> tuple[int, int, int]:
    """Settle losses; return the final balances of both [stablecoins], and the protocol's loss [wad]."""
    market.seize_and_roll_until_final()
    attacker = market.equity("attacker") + market.equity("second_self")
    return attacker // WAD, market.equity("bystander") // WAD, int(market.market.late_table[()])


def open_and_bankrupt_long(market: Perpetuals) -> Perpetuals:
    """Three shorts of very different leverage gain 4,000 of a long that fails at 16.

    Its lots become unassigned. The cycle is pending, and its loss of 1,000 is booked. Gains against equity at
    its end: small 1,200 of 2,700, large 2,000 of 22,000, other 800 of 1,800.
    """
    for name, amount in (("long", 3_000), ("small", 1_500), ("large", 20_000), ("other", 1_000)):
        market.deposit(name, amount * WAD)
    for name, lots in (("small", 300), ("large", 500), ("other", 200)):
        market.trade("long", name, lots)
    market.mark(ETH, 16 * WAD)
    market.seize_insolvent("long")
    market.advance_cycle()
    market.seize_insolvent("long")
    market.report_current_prices_again()
    return market


def bankrupt_long_against_many_shorts(market: Perpetuals, short_count: int = 30) -> Perpetuals:
    """So many shorts of 20 lots gain 80 each of a long that fails at 16; its lots become unassigned.

    The cycle is pending, and its loss is booked. They rank as they are numbered: an account with less ranks
    before.
    """
    market.deposit("long", 60 * short_count * WAD)
    for number in range(short_count):
        market.deposit(f"short_{number}", (100 + 10 * number) * WAD)
        market.trade("long", f"short_{number}", 20)
    market.mark(ETH, 16 * WAD)
    market.seize_insolvent("long")
    market.advance_cycle()
    market.seize_insolvent("long")
    market.report_current_prices_again()
    return market


def deploy_perpetuals_on_model(
    third_bond: int = 0, deleveraging_policy: str = BY_CYCLE, **desk: int
) -> Perpetuals:
    """A market on the model, in a deployment of its own, with some of the rules otherwise."""
    _, model, _ = deploy_protocol(
        None, build_cycle_market_parameters(third_bond, deleveraging_policy, **desk)
    )
    return Perpetuals(model)


def check_books(market: PerpetualMarket) -> None:
    """Check that cash and values equal holdings and unpaid losses, and losses absorbed are within gains."""
    sizes: dict[int, list[int]] = {}
    for (_, number), position in market.positions.items():
        sides = sizes.setdefault(number, [0, 0])
        sides[position.size < 0] += abs(position.size)
    assert all(market.lots[number] == tuple(sides) for number, sides in sizes.items())
    cash = sum(each.cash for each in market.accounts.values())
    for number, (long, short) in sizes.items():
        cash += long * market.values[number].long - short * market.values[number].short
    fees, pot = market.fee_table[()], market.pot[()].value
    assert cash + market.bonds[()] + pot + fees == market.holdings[()] + market.late_table[()]
    for key, losses in market.losses.items():
        totals = market.totals[key]
        assert 0 <= losses.long <= totals.long and 0 <= losses.short <= totals.short


def check_gains_match_market_totals(market: PerpetualMarket) -> None:
    """Check that all gains in the open and the pending cycle equal their markets' totals, to the wei.

    The sum of losses is no more, and less only by its rounding, for each lot and move.
    """
    cycle = market.clocks[()].cycle
    keys = [(owner, number) for owner, account in market.accounts.items() for number in range(2)]
    for number in range(2):
        mine = [key for key in keys if key[1] == number]
        now = [market._compute_open_gains(*key) for key in mine]
        pending = [market.get_unfinal_previous_cycle_gains(*key) for key in mine]
        lost = [market.get_cycle_losses(*key, cycle - 1) for key in mine]
        for found, total in (
            (now, market.totals[number, cycle]),
            (pending, market.totals[number, cycle - 1]),
        ):
            assert sum(each.long for each in found) == total.long
            assert sum(each.short for each in found) == total.short
        total = market.totals[number, cycle - 1]
        assert 0 <= total.short - sum(each.long for each in lost) < 10**9
        assert 0 <= total.long - sum(each.short for each in lost) < 10**9


def lose_against_maker(market: Perpetuals, number: int) -> None:
    """A long loses its whole margin against `maker`, which takes its lots over; the price comes back."""
    name = f"thin_{number}"
    market.deposit(name, 250 * WAD)
    market.trade(name, "maker", 100)
    market.mark(ETH, 16 * WAD)
    market.advance_cycle()
    market.seize_insolvent(name)
    market.do(f"{TRADING}.take", ETH, 100, sender="maker")
    market.mark(ETH, 20 * WAD)

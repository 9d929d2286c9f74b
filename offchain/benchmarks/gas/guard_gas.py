"""Gas of the guards: moving ceilings, modes, a halt, margin calls and meeting them, workouts."""

from __future__ import annotations

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.bounds import GUARDIAN_HALT, GUARDIAN_PAUSE
from backstop.model.circuit_breaker import FALL
from backstop.model.interfaces import CAUTION
from backstop.model.roles import GUARDIAN
from benchmarks.gas.gas_jobs_base import WETH, GasJobs, disable_feed_deviation_and_grace

# The first round writes new slots; the second is measured.
TIMES = 2


class GuardJobs(GasJobs):
    """Measured jobs of the guards, the safety checks that limit new risk, with all of them enabled.

    The deployment already has a large debt against ether.
    """

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, disable_feed_deviation_and_grace(build_guarded_parameters()))
        self.send_call_and_return_gas(
            self.symbol, "mint", get_account("borrower"), 10_000 * WAD, sender="borrower"
        )
        self.send_call_and_return_gas(
            self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender="borrower"
        )
        for i in range(2 * TIMES):
            self.send_call_and_return_gas(
                self.symbol, "mint", get_account(f"owner_{i}"), 11 * WAD, sender="stranger"
            )
            self.send_call_and_return_gas(
                self.symbol, "approve", self.get_address("VaultEngine"), MAX_UINT256, sender=f"owner_{i}"
            )
        self.send_call_and_return_gas(
            "PriceFeed", "grant_role", GUARDIAN, get_account("guardian"), sender="admin"
        )
        self.report_price_until_average_follows(2_000)
        self.deposit_and_draw("borrower", 2_000, 1_000_000)

    def report_price_until_average_follows(self, dollars: int) -> None:
        """Report a price of ether [dollars] four times, so that the feed's average equals it."""
        for _ in range(4):
            self.report_price(dollars)

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "margin call", by job name."""
        used: dict[str, int] = {}
        guards = self.deployment.parameters.guards
        assert guards is not None and guards.breaker is not None
        self.adjust_ether_ceiling_and_measure_gas()
        for _ in range(TIMES):
            self.report_price_until_average_follows(2_000)
            self.deposit_and_draw("borrower", 1_000, 500_000)
            self.chain.advance(guards.ceilings[WETH].ttl)
            used["adjust ceiling"] = self.adjust_ether_ceiling_and_measure_gas()
        for _ in range(TIMES):
            self.report_price_until_average_follows(2_000)
            for _ in range(2):
                self.report_price(1_600)
            used["raise mode, trigger"] = self.send_call_and_return_gas(
                "CircuitBreaker", "raise_mode", FALL, WETH, sender="stranger"
            )
            self.chain.advance(guards.breaker.calm_period)
            self.report_price_until_average_follows(1_600)
            used["lower mode"] = self.send_call_and_return_gas(
                "CircuitBreaker", "lower_mode", sender="stranger"
            )
        for _ in range(TIMES):
            used["force mode"] = self.send_call_and_return_gas(
                "CircuitBreaker", "force_mode", CAUTION, sender="guardian"
            )
            self.chain.advance(guards.breaker.calm_period)
            self.report_price_until_average_follows(1_600)
            self.send_call_and_return_gas("CircuitBreaker", "lower_mode", sender="stranger")
            used["halt"] = self.send_call_and_return_gas(
                "PriceFeed", "set_halted", WETH, True, sender="guardian"
            )
            self.chain.advance(GUARDIAN_HALT + GUARDIAN_PAUSE)
        for i in range(2 * TIMES):
            self.report_price_until_average_follows(2_000)
            self.deposit_and_draw(f"owner_{i}", 10, 12_900)
            self.chain.advance(3_600)
            self.report_price_until_average_follows(1_900)
            used["margin call"] = self.send_call_and_return_gas(
                "LiquidationEngine", "call", WETH, get_account(f"owner_{i}"), sender="stranger"
            )
        used["meet a call: repay"] = self.repay_debt("owner_0", 300 * WAD, 0)
        used["meet a call: top up"] = self.deposit_and_draw("owner_1", 1, 0)
        for i in range(TIMES):
            called_at = self.chain.view("VaultEngine", "vault", WETH, get_account(f"owner_{i}"))[2]
            assert called_at == 0, "the call is not met"
        return used | self.measure_workouts()

    def measure_workouts(self) -> dict[str, int]:
        """Return the gas of entering, paying, flagging and foreclosing a workout, by job name.

        A workout lets the owner of a called vault repay in instalments. All workouts here miss an instalment;
        the last is foreclosed without being flagged first.
        """
        used: dict[str, int] = {}
        self.send_call_and_return_gas("CircuitBreaker", "force_mode", CAUTION, sender="guardian")
        self.send_call_and_return_gas(
            "Stablecoin", "transfer", get_account("liquidator"), 100 * WAD, sender="borrower"
        )
        owners = [f"owner_{TIMES + i}" for i in range(TIMES)]
        for who in owners:
            used["enter workout"] = self.send_call_and_return_gas(
                "Workouts", "enter", WETH, get_account(who), 8, sender=who
            )
        workouts = [self.chain.view("CollateralAuction", "last_id") - i for i in reversed(range(TIMES))]
        for who, workout_id in zip(owners, workouts, strict=True):
            used["pay instalment"] = self.send_call_and_return_gas(
                "Workouts", "pay", workout_id, 1_700 * WAD, sender=who
            )
        self.chain.advance(2 * 86_400)
        self.report_price(1_900)
        # The last is foreclosed without one.
        for workout_id in workouts[:-1]:
            used["flag workout"] = self.send_call_and_return_gas(
                "Workouts", "flag", workout_id, sender="stranger"
            )
        for workout_id in workouts:
            args = (workout_id, get_account("liquidator"))
            used["foreclose"] = self.send_call_and_return_gas(
                "Workouts", "foreclose", *args, sender="liquidator"
            )
        return used

    def adjust_ether_ceiling_and_measure_gas(self) -> int:
        """Adjust the automatic debt ceiling of ether, and return the gas."""
        return self.send_call_and_return_gas("AutoCeiling", "adjust", WETH, sender="stranger")

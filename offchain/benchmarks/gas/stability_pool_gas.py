"""Gas of a stability pool: a liquidation, one with bad debt, a batch of nine, and members' calls."""

from __future__ import annotations

from dataclasses import replace

from backstop.deployment.contracts_by_parameter_name import name_stability_pool
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.parameter_dataclasses import StabilityPoolParameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.anvil import AnvilHost
from backstop.model.arithmetic import MAX_UINT256, WAD
from benchmarks.gas.vault_gas import VaultJobs

_BATCH = 9


class StabilityPoolJobs(VaultJobs):
    """Measured jobs of a stability pool for ether: its members' stablecoins repay unsafe vaults.

    Stability fees accrue, and the keeper already holds ether.
    """

    def __init__(self, host: AnvilHost) -> None:
        parameters = build_standard_parameters()
        ether, *others = parameters.collateral_types
        self._terms = StabilityPoolParameters()
        super().__init__(
            host,
            replace(parameters, collateral_types=(replace(ether, stability_pool=self._terms), *others)),
        )
        self._pool = name_stability_pool(self.symbol)

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the gas of each job, for example "stability pool: deposit", by job name."""
        used: dict[str, int] = {}
        engine = self.get_address("VaultEngine")
        for who in ("saver", "stranger", "taker"):
            self.send_call_and_return_gas(self.symbol, "mint", get_account(who), 10_000 * WAD, sender=who)
            self.send_call_and_return_gas(self.symbol, "approve", engine, MAX_UINT256, sender=who)
        for _ in range(3):
            self.report_price(2_000)
        self.deposit_and_draw("saver", 1_000, 500_000)
        owners = [f"owner_{i}" for i in range(4 + _BATCH)]
        for owner in owners:
            self.send_call_and_return_gas(
                self.symbol, "mint", get_account(owner), 10 * WAD, sender="stranger"
            )
            self.send_call_and_return_gas(self.symbol, "approve", engine, MAX_UINT256, sender=owner)
            self.report_price(2_000)
            self.deposit_and_draw(owner, 10, 12_000)
        members = ("taker", "stranger")
        for who in members:
            self.send_call_and_return_gas(
                "Stablecoin", "transfer", get_account(who), 200_000 * WAD, sender="saver"
            )
            self.send_call_and_return_gas(
                "Stablecoin", "approve", self.get_address(self._pool), MAX_UINT256, sender=who
            )
            used["stability pool: deposit"] = self._call_pool("deposit", 100_000 * WAD, sender=who)
        self.chain.advance(2 * self._terms.entry_delay)
        self.report_price(2_000)
        self.report_price(2_000)
        used["stability pool: admit entries"] = self._call_pool("admit", sender="taker")
        self.report_price(1_700)
        self.report_price(1_700)
        self._liquidate_vaults(owners[0])
        self.chain.advance(12)
        used["stability pool: liquidate"] = self._liquidate_vaults(owners[1])
        self.chain.advance(12)
        used["stability pool: liquidate nine"] = self._liquidate_vaults(*owners[4:])
        self.report_price(1_100)
        self.report_price(1_100)
        self._liquidate_vaults(owners[2])
        self.chain.advance(12)
        used["stability pool: liquidate with bad debt"] = self._liquidate_vaults(owners[3])
        for who in members:
            used["stability pool: claim"] = self._call_pool("claim", get_account(who), False, sender=who)
            used["stability pool: request a withdrawal"] = self._call_pool(
                "request_withdrawal", 1_000 * WAD, sender=who
            )
        self.chain.advance(self._terms.cooldown)
        for who in members:
            used["stability pool: withdraw"] = self._call_pool("withdraw", get_account(who), sender="taker")
        return used

    def _liquidate_vaults(self, *owners: str) -> int:
        """Liquidate the ether vaults of the owners in one call of the pool, and return the gas."""
        accounts = tuple(map(get_account, owners))
        return self._call_pool("liquidate", accounts, get_account("taker"), sender="taker")

    def _call_pool(self, method: str, *args: object, sender: str) -> int:
        return self.send_call_and_return_gas(self._pool, method, *args, sender=sender)

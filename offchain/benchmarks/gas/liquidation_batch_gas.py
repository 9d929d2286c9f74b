"""Gas of liquidations in one transaction."""

from __future__ import annotations

from backstop.deployment.example_parameters import build_guarded_parameters
from backstop.deployment.role_accounts import get_account
from backstop.hosts.account_addresses import compute_contract_address
from backstop.hosts.anvil import AnvilHost
from backstop.hosts.contract_creation import Creation, deploy_at_planned_address
from backstop.model.arithmetic import MAX_UINT256, WAD, div_up
from benchmarks.gas.gas_jobs_base import WETH, GasJobs, disable_feed_deviation_and_grace

_FEW, _MANY = 10, 40
_NAME = "LiquidationBatch"


class LiquidationBatchJobs(GasJobs):
    """Measured jobs that liquidate many vaults in one transaction, with every guard enabled."""

    def __init__(self, host: AnvilHost) -> None:
        super().__init__(host, disable_feed_deviation_and_grace(build_guarded_parameters()))

    def measure_gas_by_job(self) -> dict[str, int]:
        """Return the fixed gas of a batch, and the gas of each of its vaults rounded up, by job name.

        Both follow from the gas of a batch of 10 and of a batch of 40 vaults.
        """
        engine, deployer = self.get_address("LiquidationEngine"), get_account("stranger")
        creation = Creation(_NAME, _NAME, (engine,), compute_contract_address(deployer, 0))
        deploy_at_planned_address(self.chain.host, self.chain.artifacts, creation, deployer)
        self.chain.add_contract(_NAME, _NAME, creation.address)
        owners = [f"batch_owner_{i}" for i in range(2 + _FEW + _MANY)]
        self.report_price(2_000)
        self.report_price(2_000)
        for owner in owners:
            self.send_call_and_return_gas(self.symbol, "mint", get_account(owner), 10 * WAD, sender=owner)
            spender = self.get_address("VaultEngine")
            self.send_call_and_return_gas(self.symbol, "approve", spender, MAX_UINT256, sender=owner)
            args = (WETH, get_account(owner), 10 * WAD, 12_000 * WAD, get_account(owner))
            self.send_call_and_return_gas("VaultEngine", "deposit_and_draw", *args, sender=owner)
        self.report_price(1_500)
        self.report_price(1_500)
        self._liquidate_in_batch(owners[:2])  # so that no slot of the type is new
        self.chain.advance(12)
        few = self._liquidate_in_batch(owners[2 : 2 + _FEW])
        many = self._liquidate_in_batch(owners[2 + _FEW :])
        each = div_up(many - few, _MANY - _FEW)
        beside = max(few - _FEW * each, 0)
        return {"batch: liquidate": beside, "batch: liquidate, each vault": each}

    def _liquidate_in_batch(self, owners: list[str]) -> int:
        """Liquidate the ether vaults of the owners in one transaction, and return its gas."""
        addresses = tuple(map(get_account, owners))
        args = (WETH, addresses, get_account("liquidator"), 500_000, len(owners))
        return self.send_call_and_return_gas(_NAME, "liquidate_many", *args, sender="liquidator")

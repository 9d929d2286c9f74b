"""A deployment on the model alone, of which properties ask what would happen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from backstop.deployment.configuration_calls import apply_configuration
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.parameter_dataclasses import Parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.local_protocol import LocalProtocol
from backstop.proof.lockstep import ProtocolLockstep
from backstop.system import Action
from tests.support.saver_steps import deposit_savings


class ModelAlone:
    """The parts of a lockstep that a property needs, without a chain."""

    def __init__(self, both: ProtocolLockstep) -> None:
        assert both.parameters is not None
        deployment = plan_deployment(both.parameters)
        self.parameters: Parameters | None = both.parameters
        self.model = create_model(deployment, both.started_at)
        apply_configuration(self.model, deployment)
        for timestamp, action, blocks in both.trace:
            passed = None if blocks is None else blocks - self.model.next_block_number + 1
            self.model.advance(timestamp - self.model.timestamp, passed)
            assert isinstance(action, Action)
            self.model.apply(action)
        self.apply, self.view, self.advance = self.model.apply, self.model.view, self.model.advance

    @property
    def timestamp(self) -> int:
        return self.model.timestamp

    @contextmanager
    def fork_state(self) -> Iterator[ModelAlone]:
        with self.model.fork_state():
            yield self


def use_protocol_and_build_model_alone(protocol: LocalProtocol) -> ModelAlone:
    """Vaults of two types, savers, a buffer; nothing is lost yet."""
    deposit_savings(protocol, "saver", 50_000 * WAD)
    deposit_savings(protocol, "keeper", 10_000 * WAD)
    deposit_savings(
        protocol, "elder", 20_000 * WAD, "Junior"
    )  # without a cap in shares it pays before it covers
    for who in ("borrower", "owner_1", "owner_2"):
        protocol.borrow(who, "WETH", 10 * WAD, 12_000 * WAD)
    protocol.do("VaultEngine.set_stability_fee", 0, 10**19, sender="admin")
    protocol.advance(86_400)
    protocol.do("VaultEngine.accrue", 0, sender="stranger")
    protocol.post_price("WETH", 2_000 * RAY)
    return ModelAlone(protocol.lockstep)

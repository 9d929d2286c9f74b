"""Ape's transactions, read back from its chain, done again by the model, and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.contract_base import Log
from backstop.deployment.model_and_chain_deployment import create_model
from backstop.deployment.planned_contracts import Deployment
from backstop.lockstep.lockstep_difference import convert_to_tuples
from backstop.system import Action

if TYPE_CHECKING:
    from ape.api import ReceiptAPI
    from ape.contracts import ContractInstance
    from ape.managers.chain import ChainManager


class Replay:
    """The model beside a deployment that Ape operates."""

    def __init__(
        self, deployment: Deployment, contracts: dict[str, ContractInstance], chain: ChainManager
    ) -> None:
        self.chain = chain
        self.contracts = contracts
        self.names = {contract.address: name for name, contract in contracts.items()}
        self.model = create_model(deployment, int(chain.blocks[0].timestamp))
        self.followed = 0
        self.transactions = 0

    def follow(self) -> None:
        """Repeat every call since the last time; outcome and events have to be equal."""
        for number in range(self.followed + 1, self.chain.blocks.height + 1):
            block = self.chain.blocks[number]
            self.model.advance(block.timestamp - self.model.timestamp)
            for transaction in block.transactions:
                if transaction.receiver in self.names:  # not a creation
                    self._repeat_transaction_on_model(
                        self.chain.provider.get_receipt(transaction.txn_hash.to_0x_hex())
                    )
            self.followed = number

    def check_balances(self) -> None:
        """Every token balance and every account of the ledger that the model knows, read through Ape."""
        for name, contract in self.contracts.items():
            tables = self.model.world.contracts[name].tables
            for owner in tables.get("balanceOf", ()):
                assert contract.balanceOf(owner) == tables["balanceOf"][owner], (name, owner)
        engine = self.contracts["VaultEngine"]
        assert engine.reserve() == self.model.view("VaultEngine", "reserve")
        assert self.contracts["Stablecoin"].totalSupply() == self.model.view("Stablecoin", "totalSupply")
        for c in range(engine.collateral_types()):
            for view in ("buffer_of", "in_auction_of", "deficit_of"):
                assert getattr(engine, view)(c) == self.model.view("VaultEngine", view, c), (view, c)

    def _repeat_transaction_on_model(self, receipt: ReceiptAPI) -> None:
        contract = self.contracts[self.names[receipt.receiver]]
        selector, inputs = contract.decode_input(receipt.data)
        action = Action(
            self.names[receipt.receiver],
            selector.partition("(")[0],
            tuple(convert_ape_value_for_model(value) for value in inputs.values()),
            str(receipt.sender).lower(),
        )
        outcome = self.model.apply(action)
        assert outcome.ok is not receipt.failed, (action, outcome.reason)
        if outcome.ok:
            logs = [
                Log(name, event, convert_to_tuples(convert_ape_value_for_model(values)))
                for name, event, values in outcome.logs
            ]
            assert decode_events(receipt, self.names) == logs, action
        self.transactions += 1


def decode_events(receipt: ReceiptAPI, contract_names_by_address: dict[str, str]) -> list[Log]:
    """A transaction's events as Ape decodes them, in the model's words."""
    return [
        Log(
            contract_names_by_address[log.contract_address],
            log.event_name,
            tuple(convert_ape_value_for_model(log.event_arguments[each.name]) for each in log.abi.inputs),
        )
        for log in receipt.events
    ]


def convert_ape_value_for_model(value: Any) -> Any:
    """Addresses in lower case, lists and structs as tuples, bytes as bytes."""
    if isinstance(value, bool | int):
        return value
    if isinstance(value, bytes):
        return bytes(value)
    if isinstance(value, str):
        return value.lower() if value.startswith("0x") else value
    if hasattr(value, "items"):
        return tuple(convert_ape_value_for_model(each) for each in value.values())
    return tuple(convert_ape_value_for_model(each) for each in value)

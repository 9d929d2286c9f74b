"""Questions of the index to the contracts, at one block.

Nodes answer by the block's hash, so that no reorganisation mixes two chains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backstop.contract_base import ZERO_ADDRESS
from backstop.errors import BackstopError
from backstop.hosts.abi_codec import ContractAbi, decode_revert
from backstop.hosts.host_interface import CALL_GAS
from backstop.hosts.rpc_client import RpcError
from backstop.live.index.collateral_type_vaults import VaultRecord
from backstop.live.index.liquidation_pricing_inputs import PricingConditions
from backstop.live.node.live_host import revert_data
from backstop.live.node.rpc_node import Node
from backstop.model.interfaces import Bracket, CallTerms
from backstop.model.risk_policy import Terms


class ViewCall(NamedTuple):
    """Call of a view function; `at` is the address to call, if it is not the deployment's contract."""

    contract: str
    method: str
    args: tuple[Any, ...]
    at: str = ""  # where it is asked; the deployment's own contract without


class VaultViewCalls:
    """Reader of a deployment's view functions on a node, many calls in one batch."""

    def __init__(self, node: Node, addresses: Mapping[str, str], abis: Mapping[str, ContractAbi]) -> None:
        self._node = node
        self._addresses = addresses
        self._abis = abis

    def call_views(self, questions: Sequence[ViewCall], block: str) -> list[Any]:
        """Return the decoded results of view calls, in order, at the block with this hash.

        Raise BackstopError if a call reverts.
        """
        functions = [self._abis[q.contract].get_function(q.method, len(q.args)) for q in questions]
        calls = [
            (
                {
                    "to": q.at or self._addresses[q.contract],
                    "data": "0x" + function.encode_call(q.args).hex(),
                    "gas": hex(CALL_GAS),
                },
                {"blockHash": block},
            )
            for q, function in zip(questions, functions, strict=True)
        ]
        try:
            answers = self._node.client.call_method_in_batches("eth_call", calls)
        except RpcError as error:
            reverted = revert_data(error)
            if reverted is None:
                raise
            raise BackstopError(f"the contracts refuse to be read: {decode_revert(reverted)}") from None
        return [f.decode_result(bytes.fromhex(a[2:])) for f, a in zip(functions, answers, strict=True)]

    def get_vault_records(self, owners: Sequence[tuple[int, str]], block: str) -> list[VaultRecord]:
        """Return the vaults of (collateral type, owner) pairs at the block with this hash."""
        questions = [ViewCall("VaultEngine", "vault", owner) for owner in owners]
        return [VaultRecord(*answer[:3]) for answer in self.call_views(questions, block)]

    def count_types(self, block: str) -> int:
        """Return the number of collateral types at the block with this hash."""
        (count,) = self.call_views([ViewCall("VaultEngine", "collateral_types", ())], block)
        return int(count)

    def get_normalized_debts(self, types: Sequence[int], block: str) -> list[int]:
        """Return the normalized debt of all vaults of each collateral type together [wad]."""
        answers = self.call_views([ViewCall("VaultEngine", "debts_of", (c,)) for c in types], block)
        return [int(answer[0]) for answer in answers]

    def get_conditions(self, collateral_type: int, block: str, timestamp: int) -> PricingConditions:
        """Return the price, rate and terms that `LiquidationEngine` uses for a collateral type in a block.

        `block` is the block's hash. Raise BackstopError if the risk policy has no readable brackets (margin
        by debt size).
        """
        questions = [
            ViewCall("PriceFeed", "liquidation_price", (collateral_type,)),
            ViewCall("VaultEngine", "accrue", (collateral_type,)),
            ViewCall("VaultEngine", "terms_of", (collateral_type,)),
            ViewCall("VaultEngine", "auction_limit_of", (collateral_type,)),
            ViewCall("VaultEngine", "risk_policy", ()),
        ]
        price, rate, terms, limit, policy = self.call_views(questions, block)
        ratio = terms[3] if limit else 0
        if policy == ZERO_ADDRESS:
            return PricingConditions(price, rate, timestamp, ratio)
        asked = [
            ViewCall("RiskPolicy", name, (collateral_type,), policy) for name in ("terms_of", "call_terms")
        ]
        try:
            policy_terms, calls = self.call_views(asked, block)
        except BackstopError:
            raise BackstopError(
                f"the risk policy is {policy} now, which does not say its brackets: an index cannot follow it"
            ) from None
        first, second = (Bracket(*bracket) for bracket in policy_terms[0])
        brackets = Terms(first.above, first.rate, second.above, second.rate)
        found = CallTerms(*calls)
        most = min(found.ratio, terms[4])  # no ratio above the initial one is believed
        return PricingConditions(price, rate, timestamp, ratio, brackets, found._replace(ratio=most))

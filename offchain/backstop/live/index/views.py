"""Questions of the index to the contracts, at one block.

Nodes answer by the block's hash, so that no reorganisation mixes two chains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from backstop.errors import BackstopError
from backstop.hosts.abi import ContractAbi, decode_revert
from backstop.hosts.host import CALL_GAS
from backstop.hosts.rpc import RpcError
from backstop.live.index.conditions import Conditions
from backstop.live.index.vaults import Record
from backstop.live.node.host import revert_data
from backstop.live.node.rpc_node import Node
from backstop.model.interfaces import Bracket, CallTerms
from backstop.model.risk_policy import Terms
from backstop.model.state import ZERO_ADDRESS


class Question(NamedTuple):
    """A call of a view."""

    contract: str
    method: str
    args: tuple[Any, ...]
    at: str = ""  # where it is asked; the deployment's own contract without


class Views:
    """The views of a deployment on a node."""

    def __init__(self, node: Node, addresses: Mapping[str, str], abis: Mapping[str, ContractAbi]) -> None:
        self._node = node
        self._addresses = addresses
        self._abis = abis

    def ask(self, questions: Sequence[Question], block: str) -> list[Any]:
        """Return the answers, in order, at the block of this hash."""
        functions = [self._abis[q.contract].function(q.method, len(q.args)) for q in questions]
        calls = [
            (
                {
                    "to": q.at or self._addresses[q.contract],
                    "data": "0x" + function.encode(q.args).hex(),
                    "gas": hex(CALL_GAS),
                },
                {"blockHash": block},
            )
            for q, function in zip(questions, functions, strict=True)
        ]
        try:
            answers = self._node.client.batch("eth_call", calls)
        except RpcError as error:
            reverted = revert_data(error)
            if reverted is None:
                raise
            raise BackstopError(f"the contracts refuse to be read: {decode_revert(reverted)}") from None
        return [f.decode(bytes.fromhex(a[2:])) for f, a in zip(functions, answers, strict=True)]

    def vaults(self, owners: Sequence[tuple[int, str]], block: str) -> list[Record]:
        """Return vaults by type and owner."""
        questions = [Question("VaultEngine", "vault", owner) for owner in owners]
        return [Record(*answer[:3]) for answer in self.ask(questions, block)]

    def types(self, block: str) -> int:
        """Return how many collateral types there are."""
        (count,) = self.ask([Question("VaultEngine", "collateral_types", ())], block)
        return int(count)

    def normalized_debts(self, types: Sequence[int], block: str) -> list[int]:
        """Return the normalized debt of all vaults of each type together [wad]."""
        answers = self.ask([Question("VaultEngine", "debts_of", (c,)) for c in types], block)
        return [int(answer[0]) for answer in answers]

    def conditions(self, c: int, block: str, timestamp: int) -> Conditions:
        """Return the conditions that `LiquidationEngine` meets for a type in that block."""
        questions = [
            Question("PriceFeed", "liquidation_price", (c,)),
            Question("VaultEngine", "accrue", (c,)),
            Question("VaultEngine", "terms_of", (c,)),
            Question("VaultEngine", "auction_limit_of", (c,)),
            Question("VaultEngine", "risk_policy", ()),
        ]
        price, rate, terms, limit, policy = self.ask(questions, block)
        ratio = terms[3] if limit else 0
        if policy == ZERO_ADDRESS:
            return Conditions(price, rate, timestamp, ratio)
        asked = [Question("RiskPolicy", name, (c,), policy) for name in ("terms_of", "call_terms")]
        try:
            policy_terms, calls = self.ask(asked, block)
        except BackstopError:
            raise BackstopError(
                f"the risk policy is {policy} now, which does not say its brackets: an index cannot follow it"
            ) from None
        first, second = (Bracket(*bracket) for bracket in policy_terms[0])
        brackets = Terms(first.above, first.rate, second.above, second.rate)
        found = CallTerms(*calls)
        most = min(found.ratio, terms[4])  # no ratio above the initial one is believed
        return Conditions(price, rate, timestamp, ratio, brackets, found._replace(ratio=most))

"""A node that lies about the effects and gas of calls: the model, the gas table or a proof refutes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from backstop.live.chaos.byzantine_proxy import ByzantineProxy
from backstop.live.chaos.lies_about_state import OF_STATE
from backstop.live.node.failover import Failover
from backstop.live.node.gas_fees import GWEI
from backstop.live.node.rpc_node import Node
from backstop.live.node.signers import Signers
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem

LIES = {each.name: each for each in OF_STATE}
OpenKeeper = Callable[[bool], KeeperLoop]


@pytest.fixture
def hostile(fallen: LiveSystem) -> Iterator[ByzantineProxy]:
    """In front of a chain on which a vault is unsafe."""
    proxy = ByzantineProxy(int(fallen.node.url.rpartition(":")[2]))
    yield proxy
    proxy.close()


@pytest.fixture
def open_keeper(fallen: LiveSystem, hostile: ByzantineProxy, said: list[str]) -> OpenKeeper:
    """Return a function that starts a liquidator on the lying node, with or without an honest one."""

    def open_it(beside: bool) -> KeeperLoop:
        node = Node(hostile.url)
        if beside:
            node = Node("", client=Failover([hostile.url, fallen.node.url], 5.0, said.append))
        system = LiveSystem(node, fallen.deployment, Signers(test_accounts=True))
        return KeeperLoop(system, build_keepers(fallen.deployment, ["liquidator"]), said.append)

    return open_it


@pytest.mark.deep(cases=2)
@pytest.mark.parametrize(
    ("lie", "told"),
    [
        ("reverts", "would revert, and by the model it would not"),
        ("little gas", "takes 21000 gas, and by the gas table it takes"),
        ("much gas", "takes 25000000 gas, and by the gas table it takes"),
    ],
)
def test_a_trial_that_is_contradicted_is_made_at_the_other_node(
    open_keeper: OpenKeeper, hostile: ByzantineProxy, fallen: LiveSystem, said: list[str], lie: str, told: str
) -> None:
    loop = open_keeper(True)
    hostile.set_fault(LIES[lie])
    assert loop.run_round() == 1
    (left,) = [line for line in said if line.startswith(f"left the node at {hostile.url} ")]
    assert told in left and left.endswith(f"and the node at {fallen.node.url} does not")
    loop._follow_chain_and_note_mined()
    assert loop.tally.counts["liquidator", "done"] == 1


@pytest.mark.deep(cases=1)
@pytest.mark.parametrize(("lie", "sent"), [("reverts", 0), ("little gas", 1), ("much gas", 1)])
def test_a_trial_of_the_only_node_is_contradicted_in_a_line(
    open_keeper: OpenKeeper, hostile: ByzantineProxy, said: list[str], lie: str, sent: int
) -> None:
    """A call with too little gas would fail: the gas table makes up the difference."""
    loop = open_keeper(False)
    hostile.set_fault(LIES[lie])
    assert loop.run_round() == sent
    (line,) = [each for each in said if each.startswith(f"the node at {hostile.url} is not believed: ")]
    assert "liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) " in line
    loop._follow_chain_and_note_mined()
    assert (loop.tally.counts["liquidator", "done"], loop.tally.failed_transaction_count) == (sent, 0)


@pytest.mark.parametrize("lie", ["dear gas", "free gas"])
def test_the_base_fee_is_that_of_the_block_followed(
    open_keeper: OpenKeeper, hostile: ByzantineProxy, fallen: LiveSystem, lie: str
) -> None:
    """At 1,000 gwei nothing would be sent, and at none nothing would be mined."""
    loop = open_keeper(False)
    hostile.set_fault(LIES[lie])
    told = loop.system.node.get_outlook().base
    assert told == (1_000 * GWEI if lie == "dear gas" else 0)
    block = fallen.node.request("eth_getBlockByNumber", "latest", False)
    assert loop.system.get_outlook_for_new_transaction().base == int(block["baseFeePerGas"], 16)
    assert loop.run_round() == 1


@pytest.mark.parametrize("beside", [True, False])
def test_that_an_account_is_empty_is_proven(
    open_keeper: OpenKeeper, hostile: ByzantineProxy, said: list[str], beside: bool
) -> None:
    hostile.set_fault(LIES["no coins"])
    loop = open_keeper(beside)
    (line,) = [each for each in said if "has no coins: " in each]
    assert line.startswith(f"left the node at {hostile.url} ") == beside
    assert loop.run_round() == 1

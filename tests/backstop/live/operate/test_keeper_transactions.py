"""One account's transactions on a real node: stuck, dropped, reorganised, raced, and never done twice."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from unittest.mock import patch

import pytest

from backstop.deployment.role_accounts import get_account
from backstop.errors import BackstopError
from backstop.keepers.keeper_role_register import KeeperMemory
from backstop.live.node.gas_fees import GWEI, Fees, offer_fees, raise_fees
from backstop.live.operate.keeper_loop import KeeperLoop
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import LiveSystem, market_view
from backstop.live.operate.outbox import CallRequest, Outbox, TransactionRules
from backstop.live.operate.transaction_journal import Journal
from backstop.model.arithmetic import WAD
from backstop.system import Action
from tests.support.vault_auctions_after_price_drop import (
    BORROWER,
    ETH,
    apply_successful_call,
    liquidate_borrower_and_advance_time,
    post_price,
)

BRIEF = (
    "tests/backstop/live/operate/test_keeper_transactions.py"
    "::test_a_competitor_in_the_same_block_costs_gas_and_no_more"
)

ACCRUER = get_account("accruer")


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def outbox(attach: Callable[..., LiveSystem], said: list[str]) -> Outbox:
    """Return the accruer's outbox, on a node that mines on request."""
    system = attach()
    system.node.request("evm_setAutomine", False)
    journal = Journal(None, 31_337, "0x", ACCRUER)
    rules = TransactionRules(replace_after=0.0, confirmations=1)
    return Outbox(system.node, system.host.signers, ACCRUER, journal, rules, said.append)


def order(c: int = 0) -> CallRequest:
    """Return a call that any account may make."""
    return CallRequest("accruer", f"accrue({c})", ("accrue", c), ACCRUER, "0x", 60_000)


def sooner(condition: Callable[[], bool]) -> Callable[[], bool]:
    """Whether it holds, or never will."""
    deadline = time.monotonic() + 60
    return lambda: condition() or time.monotonic() > deadline


def mine(box: Outbox) -> int:
    box.node.request("evm_mine")
    return box.node.get_head().number


def push(box: Outbox, useful: bool = True) -> None:
    box.push_waiting(box.node.offer_fees(), lambda entry, block: useful)


def test_a_stuck_transaction_is_replaced_at_its_nonce(outbox: Outbox, said: list[str]) -> None:
    entry = outbox.send_call(order(), outbox.node.offer_fees())
    outbox.node.request("anvil_setNextBlockBaseFeePerGas", hex(entry.attempts[0].most * 3))
    assert outbox.collect_mined(mine(outbox)) == []
    push(outbox)
    first, second = entry.attempts
    assert second.most * 8 >= first.most * 9 and second.tip * 8 >= first.tip * 9
    assert said[-1].startswith("accruer: accrue(0) replaced at up to ")
    (settled,) = outbox.collect_mined(mine(outbox))
    assert settled.transaction == second.hash and settled.entry.ok and outbox.replaced.total() == 1
    assert outbox.node.request("eth_getTransactionReceipt", first.hash) is None
    assert outbox.node.get_nonce(ACCRUER, "latest") == 1


def test_replacements_end_at_the_cap(outbox: Outbox, said: list[str]) -> None:
    entry = outbox.send_call(order(), Fees(100 * GWEI, 2 * GWEI, 0))
    outbox.rules = TransactionRules(fee_cap=120 * GWEI, replace_after=0.0)
    for _ in range(4):
        outbox.node.request("anvil_setNextBlockBaseFeePerGas", hex(115 * GWEI))
        outbox.collect_mined(mine(outbox))
        outbox.push_waiting(Fees(0, 0, 115 * GWEI), lambda entry, block: True)
    assert [attempt.most for attempt in entry.attempts] == [100 * GWEI, 112_500_000_000]
    assert said[-1] == "accruer: accrue(0) waits: 112.5 gwei is all that the caps allow"


@pytest.mark.parametrize(
    ("old", "market", "new"),
    [
        (Fees(800, 80, 0), Fees(1, 1, 1), Fees(900, 90, 1)),
        (Fees(801, 81, 0), Fees(1, 1, 1), Fees(902, 92, 1)),  # rounded up
        (Fees(801, 81, 0), Fees(5_000, 500, 9), Fees(5_000, 500, 9)),
        (Fees(1, 0, 0), Fees(1, 0, 0), Fees(2, 1, 0)),
        (Fees(9_000, 1, 0), Fees(1, 1, 1), None),
    ],
)
def test_a_replacement_pays_an_eighth_more(old: Fees, market: Fees, new: Fees | None) -> None:
    assert raise_fees(old, market, 10_000) == new


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_transactions.py::test_replacements_end_at_the_cap"
)
def test_no_replacement_tips_more_than_the_cap(outbox: Outbox, said: list[str]) -> None:
    """A node may keep a transaction to itself until its replacements have become dear, and mine it then."""
    outbox.rules = TransactionRules(tip_cap=3 * GWEI, replace_after=0.0)
    entry = outbox.send_call(order(), offer_fees(GWEI, 50 * GWEI, 500 * GWEI, 3 * GWEI))
    assert entry.attempts[0].tip == 3 * GWEI // 2
    for _ in range(12):
        outbox.node.request("anvil_setNextBlockBaseFeePerGas", hex(entry.attempts[-1].most + 1))
        outbox.collect_mined(mine(outbox))
        outbox.push_waiting(Fees(0, 0, 10**15), lambda entry, block: True)
    tips = [attempt.tip for attempt in entry.attempts]
    assert len(tips) == 6 and tips == sorted(tips) and 5 * GWEI // 2 < tips[-1] <= 3 * GWEI
    assert said[-1].endswith("gwei is all that the caps allow")


def test_a_dropped_transaction_is_sent_again_and_the_rest_follows(outbox: Outbox, said: list[str]) -> None:
    entries = [outbox.send_call(order(c), outbox.node.offer_fees()) for c in range(3)]
    outbox.node.request("anvil_dropTransaction", entries[0].attempts[0].hash)
    assert outbox.collect_mined(mine(outbox)) == []
    push(outbox)
    assert "accruer: accrue(0) was lost by the node: sent again" in said
    settled = outbox.collect_mined(mine(outbox))
    assert [each.entry.nonce for each in settled] == [0, 1, 2] and outbox.waiting == []
    assert all(len(each.entry.attempts) <= 2 for each in settled)


def test_nonces_that_nobody_fills_are_filled(outbox: Outbox) -> None:
    """Foreign transactions used earlier nonces, and were dropped.

    So it is after a reorganisation that reaches behind the block that counted as final.
    """
    foreign = [outbox.send_call(order(c), outbox.node.offer_fees()) for c in range(2)]
    outbox.journal.entries.clear()
    outbox.send_call(order(2), outbox.node.offer_fees())
    for entry in foreign:
        outbox.node.request("anvil_dropTransaction", entry.attempts[0].hash)
    outbox.collect_mined(mine(outbox))
    push(outbox)
    outbox.collect_mined(mine(outbox))
    assert outbox.waiting == [] and outbox.node.get_nonce(ACCRUER, "latest") == 3


def test_what_is_no_longer_of_use_is_withdrawn(outbox: Outbox, said: list[str]) -> None:
    """The nonce of a withdrawn call is still filled, because later calls need it."""
    entries = [outbox.send_call(order(c), outbox.node.offer_fees()) for c in range(2)]
    outbox.node.request("anvil_setNextBlockBaseFeePerGas", hex(entries[0].attempts[0].most * 2))
    outbox.collect_mined(mine(outbox))
    push(outbox, useful=False)
    first, second = outbox.collect_mined(mine(outbox))
    assert first.withdrawn and first.gas == 21_000 and not first.entry.ok
    assert second.entry.ok and not second.withdrawn
    assert said[0].startswith("accruer: accrue(0) withdrawn at up to")


def test_what_no_node_has_and_nobody_needs_is_forgotten(outbox: Outbox) -> None:
    entry = outbox.send_call(order(), outbox.node.offer_fees())
    outbox.node.request("anvil_dropTransaction", entry.attempts[0].hash)
    push(outbox, useful=False)
    assert outbox.waiting == [] and outbox.node.get_nonce(ACCRUER) == 0


def test_what_an_earlier_keeper_has_just_sent_is_left_alone(outbox: Outbox, said: list[str]) -> None:
    """The transaction is for the next block: on the latest block, a later price would be refused."""
    entry = outbox.send_call(order(), outbox.node.offer_fees())
    again = Outbox(outbox.node, outbox.signers, ACCRUER, outbox.journal, outbox.rules, said.append)
    again.collect_mined(again.node.get_head().number)
    push(again, useful=False)
    assert len(entry.attempts) == 1
    # Only what a block has passed over may be of no use.
    again.node.request("anvil_setNextBlockBaseFeePerGas", hex(entry.attempts[0].most * 2))
    again.collect_mined(mine(again))
    push(again, useful=False)
    assert "is not needed any more" in said[-1] or entry.attempts[-1].withdraws


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_transactions.py::test_a_dropped_transaction_is_sent_again_and_the_rest_follows"
)
def test_what_was_signed_and_not_sent_is_tried_in_the_next_block(outbox: Outbox) -> None:
    """As it was when it was decided."""
    entry = outbox.send_call(order(), outbox.node.offer_fees())
    outbox.node.request("anvil_dropTransaction", entry.attempts[0].hash)
    outbox.push_waiting(outbox.node.offer_fees(), lambda entry, block: block == "pending")
    assert outbox.node.request("eth_getTransactionByHash", entry.attempts[0].hash) is not None


def test_other_transactions_of_the_account_are_counted(outbox: Outbox) -> None:
    outbox.node.request("eth_sendTransaction", {"from": ACCRUER, "to": ACCRUER})
    assert outbox.send_call(order(), outbox.node.offer_fees()).nonce == 1


def test_depth_counts(outbox: Outbox) -> None:
    outbox.rules = TransactionRules(confirmations=2)
    outbox.send_call(order(), outbox.node.offer_fees())
    outbox.collect_mined(mine(outbox))
    for left in (1, 1, 0):
        assert len(outbox.journal.entries) == left
        outbox.collect_mined(mine(outbox) if left else outbox.node.get_head().number)


def test_an_empty_wallet_and_a_wrong_chain_are_one_line(
    outbox: Outbox, attach: Callable[..., LiveSystem]
) -> None:
    fees = outbox.node.offer_fees()
    outbox.node.__dict__["chain_id"] = 5
    with pytest.raises(BackstopError, match="is not on chain 5 any more"):
        outbox.send_call(order(), fees)
    outbox.node.__dict__["chain_id"] = 31_337
    outbox.node.request("anvil_setBalance", ACCRUER, "0x1")
    outbox.node.request("evm_mine")
    with pytest.raises(BackstopError, match=f"{ACCRUER} cannot pay for gas"):
        outbox.send_call(order(), fees)
    assert outbox.waiting == []
    outbox.node.request("anvil_setBalance", ACCRUER, "0x0")
    outbox.node.request("evm_mine")
    system = attach()
    with pytest.raises(BackstopError, match="accruer has nothing to pay gas with: send coins to 0x1cbd"):
        KeeperLoop(system, build_keepers(system.deployment, ["accruer"]), print)


# ------------------------------------------------------------------ whole keepers


def test_after_a_reorganisation_it_is_sent_again(attach: Callable[..., LiveSystem], said: list[str]) -> None:
    system = attach()
    request = system.node.request
    request("anvil_setTime", system.node.get_head().timestamp + 10_000)
    request("evm_mine")
    keepers = build_keepers(system.deployment, ["accruer"])
    loop = KeeperLoop(
        system, keepers, said.append, rules=TransactionRules(replace_after=0.05, confirmations=5)
    )
    loop.run(interval=0.01, patience=5, stop=sooner(lambda: loop.tally.mined_transaction_count == 3))
    request("anvil_reorg", 3, [])
    assert system.node.get_nonce(ACCRUER) == 0
    loop.run(interval=0.02, patience=5, stop=sooner(lambda: loop.tally.mined_transaction_count == 6))
    assert sum("is no longer part of the chain" in line for line in said if "accruer" in line) == 3
    assert system.node.get_nonce(ACCRUER) == 3 and loop.tally.failed_transaction_count == 0
    system.compare_state()


def test_a_pending_transaction_does_not_stop_the_next_look(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str]
) -> None:
    fallen.node.request("evm_setAutomine", False)
    system = attach_fallen()
    keepers = build_keepers(
        system.deployment, ["liquidator", "accruer"], options={"accruer": {"heartbeat": 1}}
    )
    loop = KeeperLoop(system, keepers, said.append)
    assert loop.run_round() == 4
    # The same is not sent twice while it waits, whatever the time.
    fallen.node.request("anvil_setBlockTimestampInterval", 60)
    assert loop.run_round() == 0 and loop.pending_transaction_count == 4
    # Bids before housekeeping.
    assert said[0].startswith("liquidator: LiquidationEngine.liquidate(0, 0xa0ee7a14) sent, nonce")
    fallen.node.request("evm_mine")
    loop.run_round()
    assert (
        loop.tally.mined_transaction_count == 4
        and loop.tally.failed_transaction_count == 0
        and len(loop.tally.latencies) == 2
    )


def test_a_competitor_in_the_same_block_costs_gas_and_no_more(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str]
) -> None:
    fallen.node.request("evm_setAutomine", False)
    loop = KeeperLoop(attach_fallen(), build_keepers(fallen.deployment, ["liquidator"]), said.append)
    assert loop.run_round() == 1
    # Somebody offers more for the same.
    rival = get_account("guardian")
    to, data = fallen.encode_call(Action("LiquidationEngine", "liquidate", (ETH, BORROWER, rival), rival))
    call = {"from": rival, "to": to, "data": "0x" + data.hex(), "gas": hex(500_000)}
    tip = hex(50 * GWEI)
    fallen.node.request(
        "eth_sendTransaction", call | {"maxFeePerGas": hex(90 * GWEI), "maxPriorityFeePerGas": tip}
    )
    fallen.node.request("evm_mine")
    assert loop.run_round() == 0
    assert (loop.tally.mined_transaction_count, loop.tally.failed_transaction_count) == (
        1,
        1,
    ) and loop.tally.gas_paid > 0
    assert " FAILED in block " in said[-1] and said[-1].endswith("gas: liquidation_engine: safe vault")


def test_one_balance_is_not_spent_twice(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str]
) -> None:
    # Two auctions that are worth a bid.
    saver = get_account("saver")
    apply_successful_call(
        fallen, "VaultEngine", "deposit_and_draw", ETH, saver, 300 * WAD, 0, saver, sender="market_maker"
    )
    apply_successful_call(
        fallen, "VaultEngine", "deposit_and_draw", ETH, saver, 0, 28_500 * WAD, saver, sender="saver"
    )
    post_price(fallen, 140)
    apply_successful_call(fallen, "LiquidationEngine", "liquidate", ETH, saver, saver, sender="liquidator")
    liquidate_borrower_and_advance_time(fallen)
    money, bidder = 9_000 * WAD, get_account("bidder")
    apply_successful_call(fallen, "Stablecoin", "transfer", bidder, money, sender="market_maker")
    fallen.node.request("evm_setAutomine", False)
    system = attach_fallen()
    # Two keepers of one account.
    (one,) = build_keepers(system.deployment, ["bidder"])
    loop = KeeperLoop(system, [one, dataclasses.replace(one, name="other")], said.append)
    assert loop.run_round() == 1
    (entry,) = loop.boxes[bidder].waiting
    assert 9 * money < 10 * entry.spends <= 10 * money
    # Nor in the next look, and nothing that would fail is even tried.
    fallen.node.request("evm_setNextBlockTimestamp", fallen.node.next_time() + 60)
    assert loop.run_round() == 0 and len(said) == 1
    fallen.node.request("evm_mine")
    loop.run_round()
    assert (loop.tally.mined_transaction_count, loop.tally.failed_transaction_count) == (1, 0)
    assert system.view("Stablecoin", "balanceOf", bidder) == money - entry.spends


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.parametrize(
    ("sold", "line"),
    [(0, " sent, nonce 0"), (200, " would not pay"), (900, " would revert: flash_taker: ")],
)
def test_what_others_sold_before_counts(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str], sold: int, line: str
) -> None:
    """The keeper's view is older than the market: the trial in the next block tells."""
    liquidate_borrower_and_advance_time(fallen)
    system = attach_fallen()
    (taker,) = build_keepers(system.deployment, ["taker"])
    (intent,) = taker.decide_calls(market_view(system.mirror, system.timestamp), KeeperMemory(), 0)
    assert intent.gain is not None
    group = dataclasses.replace(taker.group, minimum_profit=intent.gain * 9 // 10)
    loop = KeeperLoop(system, [dataclasses.replace(taker, group=group)], said.append)
    if sold:
        apply_successful_call(fallen, "ETH", "mint", BORROWER, sold * WAD, sender="borrower")
        apply_successful_call(
            fallen, "ETH", "approve", fallen.addresses["Market.ETH"], sold * WAD, sender="borrower"
        )
        apply_successful_call(fallen, "Market.ETH", "sell", sold * WAD, 0, BORROWER, sender="borrower")
    with patch.object(system, "follow_chain"):
        assert loop.run_round() == (not sold)
    assert len(said) == 1 and said[0].startswith(f"taker: FlashTaker.take_and_sell(1){line}")


def test_no_look_is_at_an_earlier_time_than_the_block_followed(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str]
) -> None:
    """A node goes back between the two: for a keeper, too, no auction begins later than now."""
    liquidate_borrower_and_advance_time(fallen)
    system = attach_fallen()
    loop = KeeperLoop(system, build_keepers(system.deployment, ["bidder", "taker", "crank"]), said.append)
    followed = system.mirror.model.timestamp
    back = system.node.get_outlook()._replace(timestamp=followed - 86_400)
    with patch.object(system.node, "get_outlook", return_value=back):
        assert system.get_outlook_for_new_transaction().timestamp == followed
        loop.run_round()
    assert len(system.mirror.model.get_live_tables()["CollateralAuction"]["lots"]) == 1


@pytest.mark.deep(
    brief="tests/backstop/live/operate/test_keeper_transactions.py::test_what_is_no_longer_of_use_is_withdrawn"
)
def test_what_pays_in_the_next_block_is_not_withdrawn_for_the_last_ones_price(
    attach_fallen: Callable[..., LiveSystem], fallen: LiveSystem, said: list[str]
) -> None:
    """A block has passed the call over; at that block's time the auction still asked for too much."""
    apply_successful_call(
        fallen,
        "LiquidationEngine",
        "liquidate",
        ETH,
        BORROWER,
        get_account("liquidator"),
        sender="liquidator",
    )
    node, system = fallen.node, attach_fallen()
    node.request("evm_setAutomine", False)

    def next_block_in(seconds: int) -> None:
        node.request("anvil_setTime", node.get_head().timestamp + seconds)

    next_block_in(1_800)
    rules = TransactionRules(replace_after=0.0)
    loop = KeeperLoop(system, build_keepers(system.deployment, ["taker"]), said.append, rules=rules)
    assert loop.run_round() == 1
    (box,) = loop.boxes.values()
    (entry,) = box.waiting
    node.request("evm_setBlockGasLimit", hex(21_000))  # there is no room for it
    next_block_in(1)
    node.request("evm_mine")
    node.request("evm_setBlockGasLimit", hex(30_000_000))
    next_block_in(1_800)
    assert not system.host.static_call(box.address, entry.to, bytes.fromhex(entry.data[2:]), "latest").ok
    loop.run_round()
    assert box.waiting == [entry] and len(entry.attempts) > 1
    assert not any(attempt.withdraws for attempt in entry.attempts), said

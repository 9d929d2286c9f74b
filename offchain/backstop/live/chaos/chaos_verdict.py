"""The verdict on a storm, by the chain's history, pool and journals before each block, the mirror's file."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Hashable, Iterable
from pathlib import Path
from typing import Any

from backstop.deployment.role_accounts import get_account
from backstop.keepers.keeper_role_register import Keeper, KeeperMemory
from backstop.live.chaos.chaos_environment import ACCOUNTS, BIDDERS, BUDGETS, ChaosEnvironment
from backstop.live.chaos.keeper_and_mirror_processes import FollowerProcess
from backstop.live.mirror.chain_mirror import Mirror, open_mirror
from backstop.live.operate.live_roles import build_keepers
from backstop.live.operate.live_system import market_view
from backstop.live.operate.mirror_loop import NOT_COMPARED
from backstop.model.arithmetic import WAD
from backstop.system import Action

WAITS = 12
"""Calm blocks for which an auction may be profitable without any take."""

CLEAR = 20 * WAD
"""The least profit of an auction that counts, after gas, wad."""

HOUR = 3_540
"""Length of an hour for this check [seconds].

A budget's hour begins when a transaction is sent, this check's hour when it is mined.
"""

_TAKES = (("FlashTaker", "take_and_sell"), ("CollateralAuction", "take"))
_NO_MONEY = "exceeds balance"


class CapitalCheck:
    """Check before each block that no capital is committed twice and that no nonce is missing for long."""

    def __init__(self, scene: ChaosEnvironment) -> None:
        self.scene = scene
        self.looks = 0
        self.faults: list[str] = []
        self.longest_gap = 0
        self.before = {name: scene.world.read_stablecoin_balance(name) for name in BIDDERS}
        self.most_reserved = dict.fromkeys(BIDDERS, 0)
        self._gaps: Counter[str] = Counter()
        self._known: set[tuple[str, int, Action]] = set()
        self._signed: set[tuple[str, int, int]] = set()

    def check_pending_takes_and_spending(self) -> None:
        """Check the transaction pool and the journals, and record violations in `faults`.

        No account may have two pending purchases from one auction, or spend more than its balance.
        """
        self.looks += 1
        block = self.scene.chain.head_block.number
        taken: dict[tuple[str, int], list[tuple[str, int, Action]]] = {}
        for transaction in self.scene.list_pending_keeper_transactions():
            action = self.scene.decode_action(transaction)
            if action is not None and (action.contract, action.method) in _TAKES:
                call = action.sender, int(transaction["nonce"], 16), action
                taken.setdefault((action.sender, action.args[0]), []).append(call)
        for (sender, auction), calls in taken.items():
            # What was mined one after the other waits again together when the chain goes back.
            if len(calls) > 1 and any(call not in self._known for call in calls):
                self.faults.append(
                    f"after block {block} {sender} takes from auction {auction} {len(calls)} times"
                )
            self._known.update(calls)
        for name in BIDDERS:
            self._check_pending_spend_within_balance(name, block)
        waiting = self.scene.list_accounts_with_nonce_gap()
        self._gaps = Counter({each: self._gaps[each] + 1 for each in waiting})
        self.longest_gap = max(self.longest_gap, *self._gaps.values(), 0)

    def _check_pending_spend_within_balance(self, bidder_name: str, block: int) -> None:
        """Check that signed and unmined transactions cannot spend more than the account's balance."""
        used = self.scene.chain.node.get_nonce(get_account(bidder_name), "latest")
        under_way = read_pending_spends(self.scene.folder / "journal", get_account(bidder_name), used)
        spends, has = (
            sum_largest_spend_per_nonce(under_way),
            self.scene.world.read_stablecoin_balance(bidder_name),
        )
        self.most_reserved[bidder_name] = max(self.most_reserved[bidder_name], spends)
        signed = {(bidder_name, *each) for each in under_way}
        # As above: what was mined waits again beside what was signed for the rest.
        if spends > has and signed - self._signed:
            self.faults.append(f"after block {block} {bidder_name} may spend {spends} of {has}")
        self._signed |= signed


def read_pending_spends(journal: Path, address: str, used: int) -> list[tuple[int, int]]:
    """Return nonce and possible spending [wad] of an account's signed, unmined transactions.

    They are read from the journal files. `used` is the account's nonce: earlier nonces are left out.
    """
    entries: dict[str, dict[str, Any]] = {}
    for file in journal.glob(f"*-{address}.jsonl"):
        for line in file.read_text(encoding="utf-8").split("\n")[1:-1]:
            change = json.loads(line)
            if "gone" in change:
                entries.pop(change["gone"], None)
            elif "entry" in change:
                entries[change["entry"]["attempts"][0]["hash"]] = change["entry"]
    open_ = [each for each in entries.values() if each["nonce"] >= used and each["block"] is None]
    return [(each["nonce"], int(each["spends"])) for each in open_]


def sum_largest_spend_per_nonce(nonce_spends: Iterable[tuple[int, int]]) -> int:
    """Return the most that transactions can spend together [wad].

    Only the largest amount for each nonce counts, since one transaction is mined for each nonce.
    """
    most: dict[int, int] = {}
    for nonce, spends in nonce_spends:
        most[nonce] = max(most.get(nonce, 0), spends)
    return sum(most.values())


def judge_storm_run(
    chaos_environment: ChaosEnvironment,
    capital_check: CapitalCheck,
    first_block: int,
    quiet_by_block_hash: dict[str, bool],
) -> dict[str, Any]:
    """Return the figures of a storm run, and the list of violated rules (`faults`).

    `quiet_by_block_hash` is true for the blocks in which no disturbance kept the keepers from acting.
    """
    faults = [*chaos_environment.faults, *capital_check.faults]
    history = _replay_storm_blocks_into_figures(
        chaos_environment, capital_check, first_block, quiet_by_block_hash, faults
    )
    compared = _check_every_block_compared(chaos_environment, first_block, faults)
    nonces = _check_all_nonces_mined(chaos_environment, capital_check, faults)
    budgets = check_hourly_spending_budgets(history.pop("spent"), faults)
    keepers = [_count_keeper_log_events(each) for each in chaos_environment.keepers]
    return {
        **history,
        "most_wait_blocks": WAITS,
        "mirror": compared,
        "nonces": nonces,
        "budgets": budgets,
        "keepers": keepers,
        "faults": faults,
    }


def check_hourly_spending_budgets(
    spending_by_account: dict[tuple[str, str], list[tuple[float, int]]], faults: list[str]
) -> list[dict[str, Any]]:
    """Return each account's highest spending in any hour; add a fault if it exceeds the budget.

    Amounts are in wad. Spending is read from the blocks that the chain has at the end.
    """
    rows = []
    for name, what, limit in BUDGETS:
        events = sorted(spending_by_account.get((name, what), []))
        most = max((sum(s for then, s in events if at - HOUR < then <= at) for at, _ in events), default=0)
        if most > limit:
            faults.append(f"{name} spent {most} of {limit} within an hour ({what})")
        rows.append({"account": name, "what": what, "limit_wad": str(limit), "most_wad": str(most)})
    return rows


def _count_keeper_log_events(keeper: FollowerProcess) -> dict[str, Any]:
    counts = Counter(line.get("event") for line in keeper.iter_json_log_records())
    told = (
        "sent",
        "done",
        "failed",
        "withdrawn",
        "replaced",
        "again",
        "lost",
        "unmined",
        "reorganised",
        "resumed",
    )
    return {"name": keeper.name, "starts": keeper.starts, **{each: counts[each] for each in told}}


def _check_all_nonces_mined(
    chaos_environment: ChaosEnvironment, capital_check: CapitalCheck, faults: list[str]
) -> dict[str, Any]:
    """Add a fault for each keeper account that still has pending transactions or a missing nonce.

    Return the count of used nonces and the longest gap in blocks.
    """
    used = 0
    for name in ACCOUNTS:
        latest, pending = (
            chaos_environment.chain.node.get_nonce(get_account(name), each) for each in ("latest", "pending")
        )
        used += latest
        if latest != pending:
            faults.append(f"{name} has {pending - latest} transactions that are not mined")
    for sender in chaos_environment.list_accounts_with_nonce_gap():
        faults.append(f"{sender} has transactions behind a nonce that nobody fills")
    return {"used": used, "looks": capital_check.looks, "longest_gap_blocks": capital_check.longest_gap}


def _check_every_block_compared(
    chaos_environment: ChaosEnvironment, first_block: int, faults: list[str]
) -> dict[str, Any]:
    """Check that the mirror compared each block of the final chain and never found a difference.

    Return the figures; each violation is added to `faults`.
    """
    found: dict[int, set[str]] = {}
    differences, lines = 0, 0
    for line in (chaos_environment.folder / "mirror.jsonl").read_text(encoding="utf-8").splitlines():
        try:
            record = json.loads(line)
        except ValueError:  # cut off by a kill
            continue
        lines += 1
        differences += len(record["differences"])
        faults.extend(f"mirror: {each}" for each in record["differences"])
        found.setdefault(record["block"], set()).add(record["hash"])
    last, told = (
        chaos_environment.chain.head_block.number,
        chaos_environment.mirror.log.read_text(errors="replace"),
    )
    missing = [
        n
        for n in range(first_block, last + 1)
        if chaos_environment.chain.node.get_block_hash(n) not in found.get(n, set())
    ]
    # It says so, and the node was started again before it could look.
    forgotten = [
        n for n in missing if n in chaos_environment.chain.forgotten and f"{NOT_COMPARED} {n}:" in told
    ]
    missing = [n for n in missing if n not in forgotten]
    if missing:
        faults.append(f"the mirror did not compare {len(missing)} blocks, the first is {missing[0]}")
    replaced = sum(len(hashes) - 1 for hashes in found.values())
    return {
        "blocks": last + 1 - first_block - len(missing) - len(forgotten),
        "blocks_forgotten_by_the_node": len(forgotten),
        "blocks_replaced_later": replaced,
        "lines": lines,
        "starts": chaos_environment.mirror.starts,
        "differences": differences,
    }


def _replay_storm_blocks_into_figures(
    chaos_environment: ChaosEnvironment,
    capital_check: CapitalCheck,
    first_block: int,
    quiet_by_block_hash: dict[str, bool],
    faults: list[str],
) -> dict[str, Any]:
    """Replay the final chain and return figures on auctions, vaults, purchases and capital.

    Auctions and unsafe vaults that were profitable for too many calm blocks are added to `faults`.
    """
    deployment = chaos_environment.chain.deployment
    mirror = open_mirror(chaos_environment.chain.node, deployment)
    mirror.follow_unchecked(first_block)
    mirror.seen.clear()
    options = {"taker": {"most": 100}, "liquidator": {"most": 100}}
    taker, liquidator = build_keepers(deployment, ["taker", "liquidator"], CLEAR, options)
    takes: Counter[str] = Counter()
    spent: Counter[str] = Counter()
    got: Counter[str] = Counter()
    results: Counter[str] = Counter()
    auctions, vaults = WaitTimes(), WaitTimes()
    of_account = {get_account(name): name for name in ACCOUNTS}
    liquidations: Counter[str] = Counter()
    paying = 0
    paid: dict[tuple[str, str], list[tuple[float, int]]] = {}
    """Amounts that accounts spent, with their times, by account and kind."""
    for number in range(first_block + 1, chaos_environment.chain.head_block.number + 1):
        mirror.follow_unchecked(number)
        at = chaos_environment.mined_at.get(mirror.hash, 0.0)
        for seen in mirror.seen:
            action, name = seen.action, of_account.get(seen.action.sender, "others")
            results[f"{name} {'done' if seen.outcome.ok else 'failed'}"] += 1
            paid.setdefault((name, "gas"), []).append((at, seen.gas * seen.gas_price))
            if _NO_MONEY in (seen.outcome.reason or "") and name != "others":
                faults.append(f"block {number}: {name} spends more than it has in {action.method}")
            if action.method == "liquidate" and seen.outcome.ok:
                liquidations[name] += 1
            for log in seen.outcome.logs:
                if log.contract == "Stablecoin" and log.event == "Transfer":
                    got[of_account.get(log.values[1], "others")] += log.values[2]
                if log.event == "Taken" and log.contract == "CollateralAuction":
                    auction, _, _, worth, _ = log.values
                    takes[name] += 1
                    spent[name] += worth
                    paid.setdefault((name, "risk"), []).append((at, worth))
                    auctions.note_done(auction)
        mirror.seen.clear()
        open_now = [action.args[0] for action in _find_paying_calls(mirror, taker, chaos_environment)]
        paying += bool(open_now)
        counts = quiet_by_block_hash.get(mirror.hash, False)
        auctions.note_block(open_now, counts)
        vaults.note_block(
            [action.args[:2] for action in _find_paying_calls(mirror, liquidator, chaos_environment)], counts
        )
    mirror.compare_all_known_slots()
    mirror.raise_differences()
    for name in BIDDERS:
        left = chaos_environment.world.read_stablecoin_balance(name)
        had = capital_check.before[name] + got[name]
        if had - spent[name] != left:
            faults.append(f"{name} had {had}, spent {spent[name]}, and has {left}")
    late = auctions.find_waits_above_limit(WAITS)
    faults += [f"auction {each} paid for {wait} calm blocks and nobody took" for each, wait in late.items()]
    unsafe = vaults.find_waits_above_limit(WAITS)
    faults += [
        f"the vault of {owner} was unsafe for {wait} calm blocks and nobody liquidated it"
        for (_, owner), wait in unsafe.items()
    ]
    return {
        "auctions": {
            "started": sum(liquidations.values()),
            "paid_at_some_time": len(auctions.longest),
            "longest_calm_wait_blocks": max(auctions.longest.values(), default=0),
            "blocks_with_something_to_take": paying,
            "left_alone": len(late),
        },
        "vaults": {
            "unsafe_at_some_time": len(vaults.longest),
            "p99_blocks": vaults.compute_percentile(99),
            "longest_calm_wait_blocks": max(vaults.longest.values(), default=0),
            "left_alone": len(unsafe),
        },
        "takes": dict(takes),
        "liquidations": dict(liquidations),
        "capital": [
            {
                "account": name,
                "had_wad": str(capital_check.before[name] + got[name]),
                "spent_wad": str(spent[name]),
                "most_reserved_wad": str(capital_check.most_reserved[name]),
            }
            for name in BIDDERS
        ],
        "transactions": dict(results),
        "spent": paid,
    }


class WaitTimes:
    """Waiting times [blocks] of things that keepers should act on, such as auctions and unsafe vaults."""

    def __init__(self) -> None:
        self.longest: dict[Hashable, int] = {}
        """Calm blocks that each waited at most."""
        self._now: dict[Hashable, tuple[int, int]] = {}  # blocks, calm ones
        self._waited: list[int] = []

    def note_block(self, there: Iterable[Hashable], calm: bool) -> None:
        """Count one more block for each waiting thing, and a calm block if `calm`."""
        before, self._now = self._now, {}
        for each in there:
            blocks, counted = before.pop(each, (0, 0))
            self._now[each] = blocks + 1, counted + calm
            self.longest[each] = max(self.longest.get(each, 0), counted + calm)
        self._waited += [blocks for blocks, _ in before.values()]

    def note_done(self, each: Hashable) -> None:
        """Record that a keeper acted on a waiting thing."""
        blocks, _ = self._now.pop(each, (0, 0))
        self._waited += [blocks] * bool(blocks)

    def find_waits_above_limit(self, calm_block_limit: int) -> dict[Any, int]:
        """Return the things that waited more calm blocks than the limit, with their count of calm blocks."""
        return {each: wait for each, wait in self.longest.items() if wait > calm_block_limit}

    def compute_percentile(self, percent: int) -> int:
        """Return the longest wait [blocks] among the quickest `percent` of all things, calm or not.

        Return 0 if nothing waited.
        """
        ordered = sorted([*self._waited, *(blocks for blocks, _ in self._now.values())])
        return ordered[-(-len(ordered) * percent // 100) - 1] if ordered else 0


def _find_paying_calls(mirror: Mirror, keeper: Keeper, scene: ChaosEnvironment) -> list[Action]:
    """Return the calls that a keeper without capital could make at a profit in the next block."""
    then = mirror.model.timestamp + scene.chain.block_time
    base = int(
        scene.chain.node.request("eth_getBlockByNumber", hex(mirror.block), False)["baseFeePerGas"], 16
    )
    view = market_view(mirror, then, base)
    return [intent.action for intent in keeper.decide_calls(view, KeeperMemory(), base)]

"""The loop of a mirror: it replays history, then follows block by block, compares and logs.

During the replay, the effects of calls are compared, and all storage once at the end. From then on all
storage is compared at every block: each slot that the model ever wrote, balances of tokens among them.
"""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from backstop.errors import BackstopError
from backstop.files.atomic_files import read_versioned_json, write_text
from backstop.files.installation import format_command_as_started
from backstop.hosts.rpc_client import NodeUnavailableError
from backstop.hosts.world_storage_json import WrongStateError
from backstop.live.mirror.chain_mirror import Mirror, ReorgError, WrongDeploymentError
from backstop.live.mirror.storage_comparison import StatePrunedError
from backstop.live.monitor.health_conditions import describe_unsettled_slots
from backstop.live.monitor.status_publisher import StatusPublisher
from backstop.live.node.failover import Takeover
from backstop.live.node.rpc_node import MissingBlockRetry, sleep_in_short_naps
from backstop.live.operate.heap_trim import trim_heap
from backstop.live.solvency.solvency_statement import build_statement
from backstop.model.arithmetic import RAD, WAD
from backstop.report.amounts import format_day_and_time, format_fixed

SCHEMA_VERSION = 1
CHECKPOINT_VERSION = 1
NOT_COMPARED = "nothing can be compared at block"
"""Reason for a block that is not the newest, if every node has pruned its state."""
_OPEN = ("auctions", "sales", "workouts", "calls", "flags")
# A line is printed when one of these has changed.
_TOLD = ("balance_sheet", "stages", "open", "facilitators", "mode", "found")
# Further behind than this it replays, and does not compare storage at every block.
_BEHIND = 100
_AT_ONCE = 1_000
_SAVE_EVERY = 30.0
# Between two looks for a node that is gone.
_PAUSE = 1.0


class MirrorLoop:
    """Loop that replays a deployment in the model, compares model and chain at each block, and logs.

    `tell` receives the results line by line, and `say` all other log lines. `out` is a file for one JSON
    record per block. `checkpoint` is a file from which the next process resumes. With `each_block`, a result
    line is printed for each block, not only after a change. `observer` publishes each round's findings.
    """

    def __init__(
        self,
        mirror: Mirror,
        tell: Callable[[str], None],
        say: Callable[[str], None],
        *,
        out: Path | None = None,
        checkpoint: Path | None = None,
        each_block: bool = False,
        observer: StatusPublisher | None = None,
    ) -> None:
        self.mirror = mirror
        self.tell = tell
        self.say = say
        self.out = out
        self.checkpoint = checkpoint
        self.each_block = each_block
        self.observer = observer
        self.found = 0
        self._takeover = Takeover()
        self._resumed = self._tidied = self._unsaved = False
        self._told: dict[str, Any] = {}
        self._saved_at = time.monotonic()

    def run(
        self,
        *,
        once: bool = False,
        until: int | None = None,
        interval: float = 0.1,
        patience: float = 120.0,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        """Follow and compare until `stop` returns true, up to block `until`, or for one round if `once`.

        `interval` is the pause between rounds [seconds]. While no node answers, the loop waits up to
        `patience` seconds, then raises BackstopError. With `once` it raises at once.
        """
        self._restore_checkpoint()
        if until is not None and until < self.mirror.block:
            raise BackstopError(f"block {until} is over: this mirror begins after block {self.mirror.block}")
        gone_since: float | None = None
        reorganised: ReorgError | None = None
        again = MissingBlockRetry()
        while not stop():
            try:
                if reorganised is not None:
                    self._handle_reorg(reorganised)
                    reorganised = None
                over = self.run_round(until, stop)
                again.note_success()
                self._freeze_collections()
                if over or once:
                    break
                self._takeover.note_chain_followed()
                gone_since, pause = None, interval
            except ReorgError as error:
                reorganised = error
                continue
            except NodeUnavailableError as error:
                if again.should_look_again(error):
                    continue
                if gone_since is not None and not stop():  # whatever it is, another node may do better
                    self.mirror.node.client.switch_node(str(error))
                if gone_since is None:
                    gone_since = time.monotonic()
                    self.say(f"{error}; waiting up to {patience:.0f} s")
                if once or time.monotonic() - gone_since > patience:
                    raise BackstopError(f"stopped: {error}") from None
                if self.observer is not None:
                    self.observer.note_node_gone(str(error))
                pause = max(interval, _PAUSE, error.retry_after)
            sleep_in_short_naps(pause, stop)
        self._save_checkpoint()

    def _handle_reorg(self, error: ReorgError) -> None:
        """Roll back to the last followed block that the chain still has.

        Do nothing if the block is only missing on this node.
        """
        mirror = self.mirror
        if self._takeover.should_retry_on_missing_block(mirror.node, mirror.block, mirror.hash, str(error)):
            return
        self._tidied = False  # the model may be another
        self.say(f"{error}: {self.mirror.roll_back_after_reorg()}")
        if self.observer is not None:
            self.observer.drop_reorged_blocks(self.mirror.block)

    def run_round(self, until: int | None, stop: Callable[[], bool]) -> bool:
        """Follow and compare the new blocks; return whether block `until` was reached (None: never).

        Far behind the head, calls are replayed first and storage is compared once at the end. Raise
        BackstopError if the deployment is not complete. `stop` ends the round early.
        """
        mirror = self.mirror
        newest = mirror.node.get_head()
        head = newest.number
        last = head if until is None else min(head, until)

        def check_stop() -> bool:
            if self.observer is not None:
                self.observer.add_replayed_history_point(mirror, newest.timestamp)
            return stop()

        if last - mirror.block > _BEHIND or not mirror.is_complete_and_settled:
            while mirror.block < last and not stop():
                mirror.follow_unchecked(min(last, mirror.block + _AT_ONCE), check_stop)
                self._report_and_clear_mined_calls()
                self._save_sometimes()
                if self.observer is not None:
                    self.observer.note_replay(mirror, head)
            if stop():
                return False
            if not mirror.configured:
                raise BackstopError(
                    f"at block {mirror.block} the deployment is not complete: "
                    f"run `{format_command_as_started('deploy')}` to its end"
                )
            self._compare_storage_and_report(head)
        elif mirror.block >= last:
            mirror.follow_unchecked(last)  # nothing, but it may have been reorganised, or be shorter now
        while mirror.block < last and not stop():
            mirror.follow_unchecked(mirror.block + 1)
            try:
                self._compare_storage_and_report(head)
            except (
                StatePrunedError
            ) as error:  # as one that was started again has: the next block has all of it
                if mirror.block >= last:
                    raise
                self.say(f"{NOT_COMPARED} {mirror.block}: {error}")
        if not self._told:
            self._compare_storage_and_report(head)
        if mirror.block == head:  # followed: a head that a node only tells of would make others look behind
            mirror.node.record_height_and_check_chain(head)
        if self.observer is not None:
            self.observer.publish_block(mirror, self.found, head=head)
        self._save_sometimes()
        return until is not None and mirror.block >= until

    def _freeze_collections(self) -> None:
        """Exclude the objects made by the replay from garbage collection, once the replay is complete.

        Otherwise Python would run a full collection too rarely, and temporary objects of the status page
        would pile up.
        """
        if not self._tidied and self.mirror.is_complete_and_settled:
            gc.unfreeze()
            gc.collect()
            gc.freeze()
            gc.collect()  # which notes how little is left
            self._tidied = True

    def _compare_storage_and_report(self, head: int) -> None:
        """Compare all storage at the followed block, then publish, write and print the results.

        Raise BackstopError if a restored checkpoint differs from the chain.
        """
        self.mirror.compare_all_known_slots()
        differences, self.mirror.differences = self.mirror.differences, []
        if differences and self._resumed:
            raise BackstopError(
                f"{self.checkpoint} does not hold what the chain has ({differences[0]}): remove it, and the "
                "mirror replays from the deployment"
            )
        self._resumed = False
        for lie in self.mirror.refuted_node_claims:
            self.say(lie)
        self.mirror.refuted_node_claims.clear()
        if self.mirror.unsettled_slots:
            self.say(describe_unsettled_slots(len(self.mirror.unsettled_slots)))
        self.found += len(differences)
        self._report_and_clear_mined_calls()
        figures = build_statement(self.mirror.model, self.mirror.deployment)
        record = self.build_record(figures, differences)
        if self.observer is not None:
            self.observer.publish_block(self.mirror, self.found, differences, figures, head=head)
        if self.out is not None:
            with _translate_write_errors(self.out):
                self.out.parent.mkdir(parents=True, exist_ok=True)
                with self.out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(record) + "\n")
        changed = {name: record[name] for name in _TOLD}
        if differences or self.each_block or changed != self._told:
            self.tell(format_mirrored_block_line(record))
        for difference in differences:
            self.tell(f"  {difference}")
        self._told = changed

    def build_record(self, figures: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
        """Return the JSON record of the followed block for the file `out`.

        `figures` is the solvency statement, and `differences` lists differences between model and chain.
        """
        mirror = self.mirror
        return {
            "schema_version": SCHEMA_VERSION,
            "block": mirror.block,
            "hash": mirror.hash,
            "timestamp": mirror.model.timestamp,
            "differences": differences,
            "found": self.found,
            "fields_compared": mirror.fields_compared,
            "mode": figures["mode"],
            "balance_sheet": figures["balance_sheet"],
            "coverage": figures["coverage"],
            "stages": [{name: row[name] for name in ("stage", "capacity_rad")} for row in figures["stages"]],
            "open": {name: len(figures[name]) for name in _OPEN},
            "facilitators": figures["facilitators"],
        }

    def _report_and_clear_mined_calls(self) -> None:
        """Report the mirror's collected calls to the observer and forget them, to bound memory."""
        mirror = self.mirror
        if self.observer is not None:
            self.observer.record_mined_calls(mirror.seen)
        for transaction in mirror.strangers:
            self.say(f"{transaction} came through an unknown contract: what it opened may be missed")
        mirror.seen.clear()
        mirror.strangers.clear()
        mirror.touched_slots.clear()  # nobody keeps an index by it here

    # ---------------------------------------------------------------- checkpoint

    def _restore_checkpoint(self) -> None:
        if self.checkpoint is None or not self.checkpoint.exists():
            return
        mend = "remove it, and the mirror replays from the deployment"
        state = read_versioned_json(self.checkpoint, "checkpoint", CHECKPOINT_VERSION, "", mend)
        try:
            resumed = self.mirror.restore_state(state)
            self.found = int(state["found"])
            if resumed and self.observer is not None and state.get("history") is not None:
                self.observer.restore_state(state["history"], self.mirror.block)
        except WrongStateError as error:
            raise BackstopError(f"{self.checkpoint} is not a valid checkpoint ({error}): {mend}") from None
        except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
            raise BackstopError(f"{self.checkpoint} is not a valid checkpoint ({error!r}): {mend}") from None
        except WrongDeploymentError:
            raise BackstopError(f"{self.checkpoint} is of another deployment: {mend}") from None
        self._resumed = resumed
        if resumed:
            lost = int(state["block"]) - self.mirror.block
            self.say(f"going on after block {self.mirror.block}" + (f", {lost} taken back" if lost else ""))
        else:
            self.say(f"block {state['block']} of the checkpoint is no longer part of the chain: replaying")

    def _save_sometimes(self) -> None:
        if time.monotonic() - self._saved_at > _SAVE_EVERY:
            self._save_checkpoint()
            trim_heap()  # what statements, pages and the checkpoint took for a moment

    def _save_checkpoint(self) -> None:
        if self.checkpoint is not None and self.mirror.is_complete_and_settled:
            state = {"schema_version": CHECKPOINT_VERSION, **self.mirror.export_state(), "found": self.found}
            if self.observer is not None and (history := self.observer.export_history()) is not None:
                state["history"] = history
            try:
                write_text(json.dumps(state) + "\n", self.checkpoint)
                self._unsaved = False
            except OSError as error:  # without it the next mirror replays
                if not self._unsaved:
                    self.say(f"{self.checkpoint} cannot be written: {error.strerror}: it goes on without")
                self._unsaved = True
        self._saved_at = time.monotonic()


@contextmanager
def _translate_write_errors(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise BackstopError(f"{file} cannot be written: {error.strerror}") from None


def format_mirrored_block_line(block_record: dict[str, Any]) -> str:
    """Return one line that describes a block's record, with amounts in whole stablecoins."""
    sheet, coverage, opened = block_record["balance_sheet"], block_record["coverage"], block_record["open"]
    gap = int(sheet["liabilities_rad"]) - int(sheet["claims_on_others_rad"])
    stages = sum(int(row["capacity_rad"]) for row in block_record["stages"])
    parts = [
        f"block {block_record['block']}, {format_day_and_time(block_record['timestamp'])}",
        f"{block_record['found']} differences",
        f"owed {format_fixed(int(sheet['supply_wad']), WAD, 0)}",
        "balanced" if gap == 0 else f"NOT BALANCED by {gap} rad",
        f"losses {format_fixed(int(sheet['deficit_rad']), RAD, 0)}",
        f"short {format_fixed(int(coverage['short_rad']), RAD, 0)}",
        f"stages {format_fixed(stages, RAD, 0)}",
        f"{opened['auctions'] + opened['sales']} auctions",
        f"{opened['calls']} calls",
    ]
    if opened["workouts"]:
        parts.append(f"{opened['workouts']} workouts")
    for facilitator in block_record["facilitators"]:
        if announced := int(facilitator["announced_wad"]):
            parts.append(f"{facilitator['symbol']} to lose {format_fixed(announced, WAD, 0)}")
    if block_record["mode"] != "normal":
        parts.append(block_record["mode"])
    return "; ".join(parts)

"""Vyper sources of a project: where each variable lies, with modules, structs, arrays and libraries."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.lockstep import (
    Call,
    Campaign,
    Contract,
    Deployment,
    account,
    action,
    external,
    run_campaign,
)
from backstop.lockstep.campaign_run import load_campaign_artifacts

BOOK = """
# pragma version ^0.4.0
from .parts import notes
from snekmate.auth import ownable

initializes: ownable
initializes: notes
exports: ownable.transfer_ownership

struct Position:
    shares: uint128
    owner: address

name: String[64]
positions: HashMap[uint256, Position]
best: Position
lines: uint256[4]
queue: DynArray[address, 5]
nested: HashMap[address, HashMap[uint256, bool]]


@deploy
def __init__():
    ownable.__init__()
    self.name = "a name that is longer than one slot has room for"


@external
@nonreentrant
def open(number: uint256, shares: uint128):
    self.positions[number] = Position(shares=shares, owner=msg.sender)
    if shares > self.best.shares:
        self.best = self.positions[number]
    self.lines[number % 4] += 1
    if len(self.queue) < 5:
        self.queue.append(msg.sender)
    self.nested[msg.sender][number] = True
    notes._write(number)
"""
NOTES = """
# pragma version ^0.4.0
last: uint256
counts: HashMap[uint256, uint256]


@internal
def _write(number: uint256):
    self.last = number
    self.counts[number] += 1
"""
ALICE, BOB = account("alice"), account("bob")


class Book(Contract):
    KIND = "Book"

    def __init__(self, world: Any, name: str, address: str) -> None:
        super().__init__(world, name, address)
        zero = "0x" + "00" * 20
        self.shares = self.table("positions.shares")
        self.owners = self.table("positions.owner", zero)
        self.best_shares, self.best_owner = self.table("best.shares"), self.table("best.owner", zero)
        self.lines = self.table("lines")
        self.queue, self.length = self.table("queue", zero), self.table("queue.length")
        self.nested = self.table("nested", False)
        self.last, self.counts = self.table("notes.last"), self.table("notes.counts")
        self.owner = self.table("ownable.owner", zero)
        self.owner[()] = world.deployer

    @external
    def open(self, sender: str, number: int, shares: int) -> None:
        self.shares[number], self.owners[number] = shares, sender
        if shares > self.best_shares[()]:
            self.best_shares[()], self.best_owner[()] = shares, sender
        self.lines[number % 4] += 1
        if self.length[()] < 5:
            self.queue[self.length[()]] = sender
            self.length[()] += 1
        self.mark_number(sender, number)
        self.last[()] = number
        self.counts[number] += 1

    def mark_number(self, sender: str, number: int) -> None:
        self.nested[sender, number] = True


@action
def open_position(draw: Any, state: Any) -> Call:
    return Call("book.open", draw.randrange(9), draw.draw_amount(10**9), sender=draw.draw_account())


def build_campaign(root: Path, model: type[Contract] = Book, **fields: Any) -> Campaign:
    (root / "contracts" / "parts").mkdir(parents=True)
    (root / "contracts" / "Book.vy").write_text(BOOK)
    (root / "contracts" / "parts" / "notes.vy").write_text(NOTES)
    (root / "contracts" / "Unused.vy").write_text("this does not compile, and nothing asks for it")
    return Campaign(
        deployments=[Deployment("book", model)],
        actions=[open_position],
        accounts=[ALICE, BOB],
        project=root,
        **fields,
    )


def test_every_variable_is_where_the_model_says(tmp_path: Path) -> None:
    result = run_campaign(build_campaign(tmp_path), steps=300)
    assert result.failure is None
    assert result.coverage.notes == {"book": "not compared, as the model has no table for it: name"}
    assert result.coverage.list_never_called() == ["book.transfer_ownership(address)"]


class LosesAnItem(Book):
    @external
    def open(self, sender: str, number: int, shares: int) -> None:
        before = self.length[()]
        super().open(sender, number, shares)
        if before == 4:
            self.length[()] = 4


def test_a_wrong_item_is_named(tmp_path: Path) -> None:
    failure = run_campaign(build_campaign(tmp_path, LosesAnItem), steps=300).failure
    assert failure is not None and failure.after == 5
    assert "book queue.length: model 4, chain 5" in failure.text


class NeverMarks(Book):
    def mark_number(self, sender: str, number: int) -> None:
        pass


def test_a_slot_that_only_the_chain_writes_is_found_and_shrunk(tmp_path: Path) -> None:
    failure = run_campaign(build_campaign(tmp_path, NeverMarks), steps=40).failure
    assert failure is not None and failure.after == 1
    assert re.search(r"book slot 0x[0-9a-f]+: model None, chain 1", failure.text)


def test_what_does_not_compile_is_told_with_its_file(tmp_path: Path) -> None:
    campaign = build_campaign(tmp_path)
    (tmp_path / "contracts" / "Book.vy").write_text(BOOK.replace("self.queue.append", "self.queue.push"))
    with pytest.raises(BackstopError, match=r"Book.vy does not compile: "):
        run_campaign(campaign, steps=1)


def test_a_model_without_the_function_is_told(tmp_path: Path) -> None:
    @action
    def call_other(draw: Any, state: Any) -> Call:
        return Call("book.transfer_ownership", BOB)

    campaign = build_campaign(tmp_path)
    campaign.actions = [call_other]
    with pytest.raises(BackstopError, match="Book has no transfer_ownership marked @external or @view"):
        run_campaign(campaign, steps=1)


def test_who_compiled_it_keeps_its_code_and_gets_names_of_slots(tmp_path: Path) -> None:
    campaign = build_campaign(tmp_path)
    bare = replace(load_campaign_artifacts(campaign)["Book"], variables=None)
    found = load_campaign_artifacts(campaign, {"Book": bare})["Book"]
    assert found.bytecode_hex == bare.bytecode_hex and "queue.length" in (found.variables or {})
    (tmp_path / "contracts" / "Book.vy").write_text("# pragma version 0.2.1\n")
    unnamed = load_campaign_artifacts(campaign, {"Book": bare})["Book"]
    assert unnamed.variables is None
    assert unnamed.why_no_layout.startswith("the installed Vyper does not compile Book.vy: ")

"""Contracts of a solc standard JSON output: slots by name, packed fields, structs, arrays, custom errors."""

from __future__ import annotations

import json
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.lockstep import Call, external, run_campaign
from backstop.lockstep.campaign_lockstep import CampaignLockstep
from backstop.lockstep.campaign_run import load_campaign_artifacts
from tests.backstop.lockstep.solidity_campaign import ARTIFACTS, Coin, Settings, Vault, build_campaign

STEPS = 300


def deploy(campaign: Any) -> CampaignLockstep:
    return CampaignLockstep(campaign, load_campaign_artifacts(campaign))


def test_model_and_contracts_agree_and_all_storage_is_known() -> None:
    result = run_campaign(build_campaign(), steps=STEPS)
    assert result.failure is None and result.steps == STEPS
    calls = result.coverage.calls
    assert calls["vault.deposit(uint128)"][None] and calls["vault.withdraw(uint128)"][None]
    assert calls["coin.transfer(address,uint256)"]["Paused()"]
    assert result.coverage.list_never_called() == ["coin.transferFrom(address,address,uint256)"]
    assert result.coverage.notes == {
        "coin": "not compared, as the model has no table for it: name",
        "vault": "not compared, as the model has no table for it: tags",
    }


class KeepsTime(Vault):
    @external
    def withdraw(self, sender: str, amount: int) -> None:
        since = self.positions[sender].since
        super().withdraw(sender, amount)
        self.positions[sender] = self.positions[sender]._replace(since=since)


class ForgetsFlow(Vault):
    @external
    def withdraw(self, sender: str, amount: int) -> None:
        super().withdraw(sender, amount)
        self.flows[1] -= amount


class OtherItem(Vault):
    @external
    def deposit(self, sender: str, amount: int) -> None:
        is_new = not self.deposits[sender]
        super().deposit(sender, amount)
        if is_new and self.depositor_count[()] == 2:
            self.depositors[1] = self.depositors[0]


@pytest.mark.parametrize(
    ("wrong", "slot"),
    [
        (KeepsTime, "vault positions.amount[deployer].since: model 0, chain 1767225600"),
        (ForgetsFlow, "vault flows[1]: model 0, chain 1"),
        (OtherItem, "vault depositors[1]: model "),
    ],
)
def test_a_difference_names_the_slot(wrong: type[Vault], slot: str) -> None:
    failure = run_campaign(build_campaign(wrong), steps=STEPS).failure
    assert failure is not None and failure.kind == "difference"
    assert slot in failure.text


def test_a_custom_error_is_told_with_its_arguments() -> None:
    lockstep = deploy(build_campaign())
    alice = lockstep.campaign.accounts[1]
    outcome = lockstep.apply(lockstep.resolve_call(Call("coin.transfer", alice, 7, sender=alice)))
    assert outcome.reason == f"Insufficient({alice}, 0, 7)"


def test_without_a_layout_views_and_outcomes_are_compared(tmp_path: Any) -> None:
    content = json.loads(ARTIFACTS.read_text())
    for entry in content["contracts"]["Vault.sol"].values():
        del entry["storageLayout"]
    bare = tmp_path / "out.json"
    bare.write_text(json.dumps(content))
    result = run_campaign(build_campaign(artifacts=[bare]), steps=STEPS)
    assert result.failure is None
    told = "slots have no names, so storage is not compared (it was compiled without storageLayout"
    assert all(note.startswith(told) for note in result.coverage.notes.values())

    class PaysTwice(Vault):
        @external
        def withdraw(self, sender: str, amount: int) -> None:
            super().withdraw(sender, amount)
            self.coin.balances[sender] += 1

    failure = run_campaign(build_campaign(PaysTwice, [bare], compare_all_storage=False), steps=STEPS).failure
    assert failure is not None and "coin value: model " in failure.text
    hidden = run_campaign(build_campaign(ForgetsFlow, [bare]), steps=STEPS)
    assert hidden.failure is None  # no view tells it, and slots have no names


class PlainOwner(Coin):
    def __init__(self, world: Any, name: str, address: str, *args: Any) -> None:
        super().__init__(world, name, address, *args)
        self.tables["owner"].default = 0


class FieldOfItsOwn(Coin):
    def __init__(self, world: Any, name: str, address: str, *args: Any) -> None:
        super().__init__(world, name, address, *args)
        self.table("paused", False)


class OtherName(Coin):
    def __init__(self, world: Any, name: str, address: str, *args: Any) -> None:
        super().__init__(world, name, address, *args)
        self.table("balance")


class OtherWidths(Coin):
    def __init__(self, world: Any, name: str, address: str, *args: Any) -> None:
        super().__init__(world, name, address, *args)

        class Wider(Settings):
            BITS, SHIFTS = (160, 8, 8), (0, 160, 168)

        self.tables["owner"].default = Wider()


@pytest.mark.parametrize(
    ("coin", "told"),
    [
        (
            PlainOwner,
            "'owner' shares its slot: declare a record at it with fields of these bits, in this order: ",
        ),
        (FieldOfItsOwn, "'paused' shares a slot with 'owner': declare a record at 'owner' with fields"),
        (OtherName, "stores no 'balance'; it stores _balances, allowance, name, owner, total"),
        (OtherWidths, r"the record at 'owner' has widths \(160, 8, 8\); expected fields of these bits"),
    ],
)
def test_a_table_that_lies_another_way_is_refused(coin: type[Coin], told: str) -> None:
    campaign = build_campaign()
    first, second = campaign.deployments
    coin.KIND = "Coin"
    campaign.deployments = [type(first)("coin", coin, first.arguments), second]
    with pytest.raises(BackstopError, match=told):
        deploy(campaign)

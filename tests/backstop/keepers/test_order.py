"""`ape run order`: an order that its account has signed, for a matcher."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from eth_account import Account

from backstop.cli.order import cli
from backstop.deployment.deployment_file import read_deployment, write_deployment
from backstop.deployment.devnet_trader_signatures import get_trader_account, sign_order
from backstop.deployment.example_parameters import build_margin_parameters, build_standard_parameters
from backstop.deployment.planned_contracts import plan_deployment
from backstop.deployment.role_accounts import get_account
from backstop.keepers.signed_order_file import OrderFile, format_order
from backstop.model.arithmetic import MAX_UINT256, WAD
from backstop.model.margin_orders import Order


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_deployment(plan_deployment(build_margin_parameters()), Path("deployment.json"))
    return Path("deployment.json")


def run(*flags: object) -> Result:
    return CliRunner(mix_stderr=False).invoke(cli, [str(flag) for flag in flags])


def orders(deployment: Path, file: Path) -> list[Order]:
    """Return the orders that a matcher finds; it checks each signature."""
    read = read_deployment(deployment)
    said: list[str] = []
    found = OrderFile(
        file, read.chain_id, read.addresses["MarginOrders"], said.append
    ).read_all_known_orders()
    assert said == []
    return [each.order for each in found]


def test_orders_are_printed_or_appended(deployment: Path) -> None:
    out = Path("orders.jsonl")
    flags = ("--market", "WBTC", "--price", "60_000.5", "--nonce", 7)
    assert run("--trader", "ann", "--buy", 3, *flags, "--out", out).stdout == ""
    printed = run("--trader", "margin_liquidator", "--sell", 4, "--reduce-only", "--expiry", 99, *flags)
    with out.open("a") as file:
        file.write(printed.stdout)
    price = 60_000_500 * WAD // 10**6
    assert orders(deployment, out) == [
        Order(get_trader_account("ann"), 1, 3, price, MAX_UINT256, 7, False),
        Order(get_account("margin_liquidator"), 1, -4, price, 99, 7, True),
    ]


def test_an_order_of_another_account_of_the_signer(deployment: Path) -> None:
    """A matcher takes it: the address is the signer's but for the last byte."""
    out = Path("orders.jsonl")
    flags = ("--market", "WETH", "--buy", 1, "--price", 2_000, "--out", out)
    for number in (0, 1, 255):
        assert run("--trader", "ann", "--account", number, *flags).exit_code == 0
    found = [each.account for each in orders(deployment, out)]
    assert found == [get_trader_account("ann"), get_trader_account("ann#1"), get_trader_account("ann#255")]
    assert run("--trader", "ann", "--account", 256, *flags).exit_code == 2


def test_a_key_of_a_like_address_is_none_of_it(deployment: Path) -> None:
    read, said = read_deployment(deployment), list[str]()
    order = Order(get_trader_account("ann#1")[:-4] + "0000", 0, 1, WAD, MAX_UINT256, 1)
    signature = sign_order("ann", order, read.chain_id, read.addresses["MarginOrders"])
    file = Path("orders.jsonl")
    file.write_text(format_order(order, signature) + "\n")
    assert (
        OrderFile(file, read.chain_id, read.addresses["MarginOrders"], said.append).read_all_known_orders()
        == []
    )
    assert f"{order.account} has not signed it" in said[0]


def test_apes_accounts_sign(deployment: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APE_DATA_FOLDER", str(tmp_path))
    monkeypatch.setenv("APE_ACCOUNTS_me_PASSPHRASE", "good")
    (tmp_path / "accounts").mkdir()
    encrypted = Account.encrypt(bytes([23]) * 32, "good", iterations=2)
    (tmp_path / "accounts" / "me.json").write_text(json.dumps(encrypted))
    out = Path("orders.jsonl")
    result = run("--keystore", "me", "--market", "WETH", "--buy", 1, "--price", 2_000, "--out", out)
    assert result.exit_code == 0, result.stderr
    assert [each.account for each in orders(deployment, out)] == ["0x" + encrypted["address"].lower()]


def test_what_is_wrong_is_one_line(deployment: Path, tmp_path: Path) -> None:
    ann, one, price = ("--trader", "ann"), ("--buy", 1), ("--price", 2_000)
    other, plain = tmp_path / "other.json", tmp_path / "plain.json"
    write_deployment(dataclasses.replace(plan_deployment(build_margin_parameters()), chain_id=1), other)
    write_deployment(plan_deployment(build_standard_parameters()), plain)
    for flags, problem in (
        (
            (*ann, "--market", "WETH", *price),
            "order: no side, or both; expected one of --buy LOTS and --sell LOTS",
        ),
        ((*ann, "--market", "WETH", *one, "--sell", 1, *price), "order: no side, or both"),
        (
            ("--market", "WETH", *one, *price),
            "no signer, or two; expected one of --trader NAME and --keystore ALIAS",
        ),
        ((*ann, "--market", "XAU", *one, *price), "--market 'XAU' is unknown; expected one of WETH, WBTC"),
        ((*ann, "--market", "WETH", *one, "--price", "much"), "--price: 'much' is not an amount"),
        ((*ann, "--market", "WETH", *one, "--price", 0), "'price' is zero"),
        ((*ann, "--market", "WETH", *one, "--price", "0." + "0" * 17 + "1"), "give a rounder --price"),
        ((*ann, "--market", "WETH", "--buy", 2**63, *price), "'size' is too large"),
        ((*ann, "--market", "WETH", *one, *price, "--deployment", other), "--keystore ALIAS of your own"),
        ((*ann, "--market", "WETH", *one, *price, "--deployment", plain), "deploy --params margin"),
        ((*ann, "--market", "WETH", *one, *price, "--out", "no/such/file"), "no/such/file cannot be written"),
    ):
        result = run(*flags)
        assert result.exit_code == 1 and result.stdout == "", flags
        assert problem in result.stderr and result.stderr.count("\n") == 1, result.stderr

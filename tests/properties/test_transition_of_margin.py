"""What breaks the properties of the margin market, one wrong value each."""

import pytest

from offchain.model.arithmetic import WAD
from offchain.order_signing import trader
from offchain.properties import Violation, check_state
from offchain.system import Action
from tests.margin import ETH, begin, fill, liquidate, move, opened, prove, stage
from tests.properties.test_transition import breaks, last


@pytest.fixture
def margin(new_protocol):
    made = opened(new_protocol)
    stage(made, maker=3_000, taker=20_000, third=10_000, liquidator=50_000)
    fill(made, "maker", "taker", 900)
    fill(made, "maker", "third", 100)
    return made


def tables(protocol, contract="MarginMarket"):
    return protocol.lockstep.model.world.contracts[contract].tables


@pytest.mark.parametrize(
    ("contract", "path", "key", "change"),
    [
        ("MarginMarket", "margin_book.accounts", trader("maker"), {"cash": 1}),
        ("MarginMarket", "margin_book.accounts", trader("maker"), {"markets": 0}),
        ("MarginMarket", "margin_book.positions", (trader("maker"), ETH), {"size": 999}),
        ("MarginMarket", "margin_book.interests", ETH, {"open": 999}),
        ("MarginMarket", "margin_book.interests", ETH, {"shorts": 1}),
        ("MarginMarket", "margin_book.interests", ETH, {"unpaid": 1}),
        ("MarginMarket", "held", (), 1),
        ("MarginFund", "insurance", (), {"amount": 1}),
    ],
)
def test_books_that_do_not_balance(margin, contract, path, key, change):
    copied = {
        name: {path: dict(table) for path, table in each.items()}
        for name, each in margin.lockstep.model.snapshot().items()
    }
    check_state(copied, margin.lockstep.addresses)
    old = tables(margin, contract)[path][key]
    copied[contract][path][key] = old._replace(**change) if isinstance(change, dict) else change
    with pytest.raises(Violation, match=r"^property 26 "):
        check_state(copied, margin.lockstep.addresses)


@pytest.fixture
def liquidated(margin):
    move(margin, "WETH", 1_750)
    liquidate(margin, "maker", 100)
    return last(margin)


def test_a_safe_account_liquidated(margin, liquidated):
    changes = margin.lockstep.model.changes
    slot = next(each for each in changes if each.key == trader("maker"))
    changes[slot] = changes[slot]._replace(cash=changes[slot].cash + 1_000 * WAD)
    breaks(27, liquidated)


def test_an_account_left_worse(margin, liquidated):
    account = tables(margin)["margin_book.accounts"]
    old = account[trader("maker")]
    account[trader("maker")] = old._replace(cash=old.cash - 30 * WAD)
    breaks(27, liquidated)


@pytest.fixture
def proven(margin):
    move(margin, "WETH", 1_600)
    begin(margin, "maker")
    prove(margin, "taker", "third")
    return last(margin)


def test_somebody_chosen_out_of_rank(margin, proven):
    chosen = tables(margin, "MarginDeleverager")["chosen"]
    prover = margin.address("prover")
    chosen[prover, 0], chosen[prover, 1] = chosen[prover, 1], chosen[prover, 0]
    breaks(28, proven)


def test_somebody_left_out(margin, proven):
    case = tables(margin, "MarginDeleverager")["case"]
    case[()] = case[()]._replace(others=1)
    breaks(28, proven)


def test_too_few_who_pay(margin, proven):
    deleverager = tables(margin, "MarginDeleverager")
    prover = margin.address("prover")
    deleverager["last_accounts"][prover] = deleverager["last_accounts"][prover]._replace(chosen=1)
    deleverager["runs"][prover] = deleverager["runs"][prover]._replace(loss=1)
    breaks(28, proven)


def test_doors(margin, proven):
    """Of the contracts for each other, property 18."""
    for contract, method in (("MarginMarket", "trade"), ("MarginFund", "absorb"), ("Perpetuals", "lose")):
        breaks(18, proven._replace(action=Action(contract, method, (), margin.address("stranger"))))

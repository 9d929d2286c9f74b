"""What breaks the properties of the margin market, one wrong value each."""

import pytest

from backstop.deployment.signing import trader
from backstop.model import bounds
from backstop.model.arithmetic import RAY, WAD
from backstop.proof.properties import Violation, check_state
from backstop.proof.properties.margin.market import no_figure_is_beyond_its_bounds
from backstop.system import Action
from tests.support.margin import ETH, begin, execute, fill, liquidate, move, opened, prove, stage, with_margin
from tests.support.transitions import breaks, last

HIGHEST = bounds.MAX_PRICE * (WAD // 100) // RAY
"""Wei a lot of ether."""


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


@pytest.mark.parametrize(
    ("contract", "path", "key", "change"),
    [
        ("MarginMarket", "margin_book.accounts", trader("maker"), {"cash": -(2**135) - 1}),
        ("MarginMarket", "margin_book.positions", (trader("maker"), ETH), {"cost": 2**135 + 1}),
        ("MarginMarket", "margin_book.interests", ETH, {"open": 10**12 + 1}),
        ("MarginMarket", "margin_book.fundings", ETH, {"level": 14_914 * HIGHEST + 1}),
        ("MarginMarket", "margin_book.frozen_prices", ETH, {"price": HIGHEST + 1}),
        ("MarginMarket", "margin_book.frozen_prices", ETH, {"level": -14_914 * HIGHEST - 1}),
        ("MarginPolicy", "underlyings", ETH, {"open_limit": 10**12 + 1}),
        ("MarginDeleverager", "ranking.left", (), {"loss": 2**134 + 1}),
        ("MarginDeleverager", "ranking.scores", trader("maker"), 2**119 + 1),
    ],
)
def test_figures_beyond_their_bounds(margin, contract, path, key, change):
    """Only by that much: what is at the bound holds."""
    copied = {
        name: {path: dict(table) for path, table in each.items()}
        for name, each in margin.lockstep.model.snapshot().items()
    }
    old = tables(margin, contract)[path][key]
    for less, holds in ((1, True), (0, False)):
        values = change if isinstance(change, dict) else {"": change}
        near = {name: value - less if value > 0 else value + less for name, value in values.items()}
        copied[contract][path][key] = old._replace(**near) if isinstance(change, dict) else near[""]
        if holds:
            no_figure_is_beyond_its_bounds(copied, {})
        else:
            with pytest.raises(Violation, match=r" is -?\d+, beyond \d+$"):
                no_figure_is_beyond_its_bounds(copied, {})


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
    chosen = tables(margin, "MarginDeleverager")["ranking.chosen"]
    prover = margin.address("prover")
    chosen[prover, 0], chosen[prover, 1] = chosen[prover, 1], chosen[prover, 0]
    breaks(28, proven)


def test_somebody_left_out(margin, proven):
    case = tables(margin, "MarginDeleverager")["ranking.case"]
    case[()] = case[()]._replace(others=1)
    breaks(28, proven)


def test_too_few_who_pay(margin, proven):
    deleverager = tables(margin, "MarginDeleverager")
    prover = margin.address("prover")
    deleverager["ranking.runs"][prover] = deleverager["ranking.runs"][prover]._replace(chosen=1)
    deleverager["lefts"][prover] = deleverager["lefts"][prover]._replace(loss=1)
    breaks(28, proven)


def test_a_gain_that_has_left(margin, proven):
    """An account that changed in a freeze no longer has what it may have to pay."""
    margin.do("MarginMarket.deposit", trader("taker"), WAD, sender="rich")
    changed = last(margin)
    account = tables(margin)["margin_book.accounts"]
    account[trader("taker")] = account[trader("taker")]._replace(cash=-(10**6) * WAD)
    breaks(29, changed)


@pytest.fixture
def shared(new_protocol):
    made = opened(new_protocol, with_margin(policy="shared"))
    stage(made, maker=3_000, taker=20_000, third=10_000, liquidator=50_000)
    fill(made, "maker", "taker", 900)
    fill(made, "maker", "third", 100)
    move(made, "WETH", 1_600)
    begin(made, "maker")
    prove(made, "taker", "third")
    return made


def test_a_sum_that_is_not_that_of_all_scores(shared):
    proven = last(shared)
    tables(shared, "MarginDeleverager")["scores_left"][shared.address("prover")] += 1
    breaks(28, proven)


def test_somebody_who_gained_and_does_not_share(shared):
    proven, prover = last(shared), shared.address("prover")
    runs = tables(shared, "MarginDeleverager")["ranking.runs"]
    runs[prover] = runs[prover]._replace(chosen=1)
    breaks(28, proven)


@pytest.mark.parametrize("off", [10, -10])
def test_more_or_less_than_its_part(shared, off):
    execute(shared, 1)
    charged = last(shared)
    log = next(log for log in charged.outcome.logs if log.event == "Deleveraged")
    wrong = log._replace(values=(*log.values[:3], log.values[3] + off))
    breaks(28, charged._replace(outcome=charged.outcome._replace(logs=(wrong,))))


def test_doors(margin, proven):
    """Of the contracts for each other, property 18."""
    for contract, method in (("MarginMarket", "trade"), ("MarginFund", "absorb"), ("Perpetuals", "lose")):
        breaks(18, proven._replace(action=Action(contract, method, (), margin.address("stranger"))))

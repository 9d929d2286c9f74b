"""Reasons to refuse calls beside trades, wrong in contract and model alike: a property notices."""

import pytest

from backstop.contract_base import RevertError
from backstop.model import (
    cycle_losses,
    margin_fund,
    margin_policy,
    perpetual_liquidity_vault,
    perpetual_market,
    pro_rata_deleveraging,
    ranked_deleveraging,
)
from backstop.model.arithmetic import WAD
from backstop.model.bounds import MIN_NOTICE
from backstop.model.price_path import SHORT
from tests.support.margin_fund_steps import DAY
from tests.support.market_delisting import announce_delisting, step_feeds_through_prices
from tests.support.market_with_pool import (
    POOL,
    add_members_with_unequal_deposits,
    deploy_pool_market_on_model,
    open_and_seize_long_position,
)
from tests.support.model_only_perpetuals_with_properties import (
    attach_property_monitor,
    expect_violation_of_property,
    open_watched_crowd_on_model,
)
from tests.support.perpetual_test_market import (
    CLOSER,
    ETH,
    HOUSE,
    RULES,
    bankrupt_long_against_many_shorts,
    deploy_perpetuals_on_model,
    open_and_bankrupt_long,
)
from tests.support.revert_setter_and_source_helpers import reverts

MODULES = (
    cycle_losses,
    margin_fund,
    margin_policy,
    perpetual_liquidity_vault,
    perpetual_market,
    ranked_deleveraging,
    pro_rata_deleveraging,
)


@pytest.fixture
def crowd():
    return open_watched_crowd_on_model()


@pytest.fixture
def pool():
    """With two members, beside 1,000 unassigned lots, on the model alone."""
    made = add_members_with_unequal_deposits(deploy_pool_market_on_model())
    attach_property_monitor(made.market)
    return open_and_seize_long_position(made)


def make_wrong(monkeypatch, wrong, holds):
    """Make one reason hold never, or always."""

    def require(condition, reason):
        if not (holds if reason == wrong else condition):
            raise RevertError(reason)

    for module in MODULES:
        monkeypatch.setattr(module, "require", require)


# ----------------------------------------------------------------------- the pool


@pytest.mark.parametrize("reason", ["liquidity_vault: not idle", "liquidity_vault: no shares"])
def test_who_enters_is_refused_for_nothing(pool, monkeypatch, reason):
    make_wrong(monkeypatch, reason, False)
    args = WAD, pool.market.get_contract_or_account_address("ann")
    expect_violation_of_property(
        222, lambda: pool.market.apply_call_and_report_success(f"{POOL}.deposit", *args, sender="rich")
    )
    expect_violation_of_property(
        222, lambda: pool.market.apply_call_and_report_success(f"{POOL}.mint", *args, sender="rich")
    )


def test_a_request_that_is_refused_for_nothing(pool, monkeypatch):
    make_wrong(monkeypatch, "liquidity_vault: empty request", False)
    ann = pool.market.get_contract_or_account_address("ann")
    expect_violation_of_property(
        222,
        lambda: pool.market.apply_call_and_report_success(f"{POOL}.requestRedeem", 1, ann, ann, sender="ann"),
    )


@pytest.mark.parametrize(
    "reason",
    [
        "liquidity_vault: no request",
        "liquidity_vault: notice runs",
        "liquidity_vault: at work",
        "liquidity_vault: losses are late",
    ],
)
def test_who_leaves_is_refused_for_nothing(pool, monkeypatch, reason):
    batch = pool.request("ann")
    pool.wait(batch)
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        222,
        lambda: pool.market.apply_call_and_report_success(
            f"{POOL}.leave", batch, pool.market.get_contract_or_account_address("ann"), sender="ann"
        ),
    )


@pytest.mark.parametrize("holds", [True, False])
def test_who_leaves_while_the_losses_of_a_settlement_are_open(pool, monkeypatch, holds):
    """Refused for that he is refused rightly; paid, or refused after those losses, wrongly."""
    batch, market = pool.request("ann"), pool.market.model.world.contracts["PerpetualMarket"]
    pool.wait(batch)
    leave = f"{POOL}.leave", batch, pool.market.get_contract_or_account_address("ann")
    market.closing[()] = market.clocks[()].cycle - 2 * (not holds)
    if holds:
        with reverts("perpetuals: losses are open"):
            pool.market.do(*leave, sender="ann")
    make_wrong(monkeypatch, "perpetuals: losses are open", holds)
    expect_violation_of_property(
        223 if holds else 222, lambda: pool.market.apply_call_and_report_success(*leave, sender="ann")
    )


@pytest.mark.parametrize(
    "reason",
    [
        "liquidity_vault: members are due",
        "liquidity_vault: above its limit",
        "liquidity_vault: too little cash",
    ],
)
def test_a_pool_that_may_not_take_lots(pool, monkeypatch, reason):
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        222, lambda: pool.market.apply_call_and_report_success(f"{POOL}.take", ETH, 10, sender="keeper")
    )


@pytest.mark.parametrize("reason", ["liquidity_vault: quote runs", "liquidity_vault: none to quote"])
def test_a_quote_that_is_refused_for_nothing(pool, monkeypatch, reason):
    pool.take_unassigned_lots(10)
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        222, lambda: pool.market.apply_call_and_report_success(f"{POOL}.quote", ETH, sender="stranger")
    )


def test_a_limit_out_of_bounds(pool, monkeypatch):
    make_wrong(monkeypatch, "liquidity_vault: limit bounds", True)
    args = ETH, 8 * 10**9 + 1
    expect_violation_of_property(
        223, lambda: pool.market.apply_call_and_report_success(f"{POOL}.set_limit", *args, sender="admin")
    )


# -------------------------------------------------------------- fund and rankings


@pytest.mark.parametrize("reason", ["margin_fund: not vested", "margin_fund: nothing to claim"])
def test_a_claim_that_is_refused_for_nothing(crowd, monkeypatch, reason):
    crowd.mark(ETH, 18 * WAD)
    crowd.trade("first", "other", 500)
    for _ in range(2):
        crowd.advance_cycle()
    crowd.do(
        f"{HOUSE}.withdraw", 10_000 * WAD + 1, crowd.get_contract_or_account_address("first"), sender="first"
    )
    [(owner, bucket)] = crowd.world.contracts["MarginFund"].holdings
    # One second before it vests nobody may have it, which another property sees.
    crowd.advance_clock((bucket + 7) * DAY - crowd.world.timestamp)
    make_wrong(monkeypatch, reason, False)
    expect_violation_of_property(
        142, lambda: crowd.apply_call_and_report_success("MarginFund.claim", owner, bucket, sender="stranger")
    )
    monkeypatch.undo()
    make_wrong(monkeypatch, "margin_fund: nothing to claim", True)
    expect_violation_of_property(
        223,
        lambda: crowd.apply_call_and_report_success("MarginFund.claim", owner, bucket - 1, sender="stranger"),
    )


@pytest.mark.parametrize(
    ("policy", "reason"),
    [
        ("ranked", "deleveraging: out of rank"),
        ("ranked", "deleveraging: too few"),
        ("ranked", "deleveraging: no lots to close"),
        ("ranked", "deleveraging: not the next"),
        ("ranked", "deleveraging: not proven"),
        ("shared", "deleveraging: nobody gained"),
        ("shared", "deleveraging: out of order"),
        ("shared", "deleveraging: no lots to close"),
    ],
)
def test_a_close_that_is_refused_for_nothing(monkeypatch, policy, reason):
    made = attach_property_monitor(deploy_perpetuals_on_model(third_bond=WAD, deleveraging_policy=policy))
    made.report_current_prices_again()
    in_calls = reason in ("deleveraging: out of rank", "deleveraging: too few")
    market = bankrupt_long_against_many_shorts(made) if in_calls else open_and_bankrupt_long(made)
    ranking = market.list_ranking(SHORT)
    method, accounts = "share", tuple(sorted(ranking))
    if policy == "ranked":
        method, accounts = "submit", ranking
        if in_calls:
            market.submit(SHORT, ranking[:24])
            accounts = ranking[24:]
        else:
            market.submit(SHORT, ranking)
            method = "execute"
    make_wrong(monkeypatch, reason, False)
    args = ETH, SHORT, accounts
    expect_violation_of_property(
        222, lambda: market.apply_call_and_report_success(f"{CLOSER}.{method}", *args, sender="prover")
    )


# --------------------------------------------------------------- terms and the end


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("initial bounds", {"initial": 10_001}),
        ("upkeep bounds", {"maintenance": 9}),
        ("upkeep bounds", {"maintenance": 1_000}),
        ("discount bounds", {"discount": 50_001}),
        ("haircut bounds", {"haircut": 99}),
        ("funding bounds", {"max_funding": 1_001}),
        ("open bounds", {"open_limit": 10**12 + 1}),
        ("dust bounds", {"dust": 10**6 + 1}),
        ("insured bounds", {"insured": 10_001}),
        ("bracket bounds", {"of_market": ((10**9 + 1, 0), (0, 0))}),
        ("bracket rates", {"of_accounts": ((0, 5_001), (0, 5_000))}),
    ],
)
def test_terms_out_of_bounds(crowd, monkeypatch, reason, changes):
    terms = crowd.read("MarginPolicy.terms_of", ETH)._replace(initial=1_000)
    make_wrong(monkeypatch, f"margin_policy: {reason}", True)
    args = ETH, terms._replace(**changes)
    expect_violation_of_property(
        223, lambda: crowd.apply_call_and_report_success("MarginPolicy.set_terms", *args, sender="admin")
    )
    monkeypatch.undo()
    make_wrong(monkeypatch, f"margin_policy: {reason}", False)
    expect_violation_of_property(
        222, lambda: crowd.apply_call_and_report_success("MarginPolicy.set_terms", ETH, terms, sender="admin")
    )


def test_a_notice_out_of_bounds(crowd, monkeypatch):
    make_wrong(monkeypatch, "margin_policy: notice bounds", True)
    at = crowd.world.timestamp + MIN_NOTICE - 1
    expect_violation_of_property(
        223, lambda: crowd.apply_call_and_report_success("MarginPolicy.delist", ETH, at, sender="admin")
    )


def test_a_market_that_does_not_end(crowd, monkeypatch):
    announce_delisting(crowd)
    crowd.advance_clock(MIN_NOTICE)
    step_feeds_through_prices(crowd, [20] * 8)
    make_wrong(monkeypatch, "perpetuals: no final price", False)
    crowd.advance_clock(3 * DAY)
    expect_violation_of_property(
        222, lambda: crowd.apply_call_and_report_success(f"{HOUSE}.end_market", ETH, sender="keeper")
    )


def test_a_cycle_that_ends_too_early(crowd, monkeypatch):
    """Another property sees it as well, after that of calls."""
    crowd.advance_cycle()
    make_wrong(monkeypatch, "cycle_losses: too early", False)
    crowd.advance_clock(RULES.window)
    expect_violation_of_property(
        141, lambda: crowd.apply_call_and_report_success(f"{HOUSE}.advance_cycle", sender="keeper")
    )

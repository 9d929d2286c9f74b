"""The protocol as Ape deploys it, and a loss's whole life as an Ape user sees it; the model repeats it."""

from contextlib import AbstractContextManager

import pytest

from backstop.deployment.configuration_calls import build_configuration_calls
from tests.support.saver_steps import BUFFER, SAVINGS

BRIEF = (
    "tests/backstop/deployment/test_deployed_by_ape.py"
    "::test_contracts_know_each_other_from_their_constructors"
)

pytestmark = pytest.mark.anvil


@pytest.fixture(autouse=True)
def taken_back(contracts, chain):
    """Revert the changes that a test makes on the chain: ape-config.yaml turns Ape's own isolation off."""
    with chain.isolate():
        yield


def reverts(reason: str) -> AbstractContextManager[None]:
    import ape

    return ape.reverts(reason)


WETH = 0
WAD, RAY, RAD = 10**18, 10**27, 10**45
DAY = 86_400


def test_contracts_know_each_other_from_their_constructors(contracts, deployment):
    for name, contract in contracts.items():
        for view, other in (
            ("VAULT_ENGINE", "VaultEngine"),
            ("PRICE_FEED", "PriceFeed"),
            ("LIQUIDATION_ENGINE", "LiquidationEngine"),
            ("COLLATERAL_AUCTION", "CollateralAuction"),
            ("LOSS_WATERFALL", "LossWaterfall"),
            ("STABLECOIN", "Stablecoin"),
        ):
            if view in {each.name for each in contract.contract_type.view_methods}:
                assert getattr(contract, view)() == contracts[other].address, (name, view)
    assert contracts["Savings"].asset() == contracts["Stablecoin"].address


@pytest.mark.deep(brief=BRIEF)
def test_the_configuration_left_the_same_state_as_in_the_model(replay, deployment):
    assert replay.transactions == len(build_configuration_calls(deployment))
    replay.check_balances()


@pytest.fixture(scope="module")
def opened(post_price, borrow, role, vault_engine, stablecoin, savings):
    """Ether at 2,000: a borrower, a market maker for a taker, and a saver of 20,000."""
    post_price(2_000)
    borrow(role("borrower"), 10 * WAD, 13_000 * WAD)
    borrow(role("market_maker"), 60 * WAD, 40_000 * WAD)
    for who in ("taker", "saver"):
        stablecoin.transfer(role(who), 20_000 * WAD, sender=role("market_maker"))
    stablecoin.approve(savings, 20_000 * WAD, sender=role("saver"))
    savings.deposit(20_000 * WAD, role("saver"), sender=role("saver"))


@pytest.mark.deep(
    brief="tests/backstop/deployment/test_deployed_by_ape.py::test_contracts_know_each_other_from_their_constructors"
)
@pytest.mark.usefixtures("opened")
def test_a_loss_from_its_vault_to_the_saver(
    chain,
    role,
    post_price,
    vault_engine,
    stablecoin,
    liquidation_engine,
    collateral_auction,
    loss_waterfall,
    savings,
    weth,
    replay,
):
    borrower, liquidator, taker, saver = (role(n) for n in ("borrower", "liquidator", "taker", "saver"))
    replay.follow()

    # A quarter of a year's fee goes to the buffer and the reserve.
    chain.mine(deltatime=91 * DAY)
    vault_engine.accrue(WETH, sender=role("accruer"))
    fees = vault_engine.buffer_of(WETH) + vault_engine.reserve()
    assert 300 * RAD < fees < 350 * RAD

    # The price falls: the vault is unsafe, anybody may have it liquidated.
    post_price(1_500)
    liquidated = liquidation_engine.liquidate(WETH, borrower, liquidator, sender=liquidator)
    (event,) = liquidated.decode_logs(liquidation_engine.Liquidated)
    auction = event.auction_id
    assert (event.owner, event.collateral) == (borrower, 10 * WAD)
    assert event.reward == stablecoin.balanceOf(liquidator) > 50 * WAD

    # Half of the lot is sold after 15 minutes.
    chain.mine(deltatime=900)
    taken = collateral_auction.take(auction, 5 * WAD, 1_700 * RAY, taker, b"", sender=taker)
    (event,) = taken.decode_logs(collateral_auction.Taken)
    assert event.collateral == weth.balanceOf(taker) == 5 * WAD
    assert stablecoin.balanceOf(taker) == 20_000 * WAD - event.paid

    # The saver asks to leave, but the other half becomes worthless before.
    savings.requestRedeem(savings.balanceOf(saver), saver, saver, sender=saver)
    post_price(1, steps=5)
    collateral_auction.close(auction, sender=role("crank"))
    deficit = vault_engine.deficit_of(WETH)
    assert 4_000 * RAD < deficit < 6_000 * RAD

    # Buffer first, then the reserve, then the saver.
    covered = loss_waterfall.cover(WETH, sender=role("coverer"))
    paid = {each.stage: each.amount for each in covered.decode_logs(loss_waterfall.LossCovered)}
    assert sum(paid.values()) == deficit
    assert list(paid) == sorted(paid) and paid[SAVINGS] > paid[BUFFER] > 0
    assert vault_engine.deficit_of(WETH) == 0

    chain.mine(deltatime=DAY)
    savings.cut(sender=role("crank"))
    chain.mine(deltatime=DAY + 600)
    savings.settle(sender=role("crank"))
    savings.withdraw(savings.maxWithdraw(saver), saver, saver, sender=saver)
    lost = 20_000 * WAD - stablecoin.balanceOf(saver)
    assert 0 <= lost - paid[SAVINGS] // RAY <= 2

    replay.follow()
    replay.check_balances()


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.usefixtures("opened")
def test_a_vault_from_opening_to_closing(role, vault_engine, stablecoin, weth, chain, replay):
    borrower = role("borrower")
    with reverts("vault_engine: unsafe"):
        vault_engine.deposit_and_draw(WETH, borrower, 0, 400 * WAD, borrower, sender=borrower)
    with reverts("vault_engine: not approved"):
        vault_engine.repay_and_withdraw(WETH, borrower, 0, WAD, role("taker"), sender=role("taker"))
    vault_engine.deposit_and_draw(WETH, borrower, 0, 300 * WAD, borrower, sender=borrower)

    chain.mine(deltatime=30 * DAY)
    stablecoin.transfer(borrower, 100 * WAD, sender=role("taker"))
    # Closing needs no price, though the last one is a month old; more than is owed is never taken.
    closed = vault_engine.repay_and_withdraw(WETH, borrower, 2**255, 10 * WAD, borrower, sender=borrower)
    burned, withdrawn = closed.decode_logs(stablecoin.Transfer)  # of both tokens: they look alike
    assert (burned.contract_address, withdrawn.contract_address) == (stablecoin.address, weth.address)
    assert 13_300 * WAD < burned.value < 13_400 * WAD
    assert stablecoin.balanceOf(borrower) == 13_400 * WAD - burned.value
    assert weth.balanceOf(borrower) == withdrawn.value == 10 * WAD

    replay.follow()
    replay.check_balances()


@pytest.mark.deep(brief=BRIEF)
@pytest.mark.usefixtures("opened")
def test_reasons_reach_the_user(role, liquidation_engine, savings):
    stranger = role("bidder")
    with reverts("liquidation_engine: safe vault"):
        liquidation_engine.liquidate(WETH, role("borrower"), stranger, sender=stranger)
    with reverts("pool: more than max"):
        savings.redeem(1, stranger, stranger, sender=stranger)

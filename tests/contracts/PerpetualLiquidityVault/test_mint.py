"""mint: a number of shares, for assets rounded up."""

from backstop.model.arithmetic import WAD
from tests.support.market_with_pool import POOL
from tests.support.perpetual_test_market import HOUSE
from tests.support.revert_setter_and_source_helpers import reverts


def mint(pool, shares):
    return pool.do("mint", shares, pool.market.get_contract_or_account_address("carl"), sender="rich")


def test_assets_are_rounded_up(members):
    members.market.do(
        f"{HOUSE}.deposit", members.market.get_contract_or_account_address(POOL), 7 * WAD + 1, sender="rich"
    )
    supply, held = members.read("totalSupply") + 10**6, members.cash() + 1
    for shares in (1, 10**6, 3 * WAD * 10**6 + 7):
        expected = -(-shares * held // supply)
        with members.market.system.fork_state():
            assert mint(members, shares) == expected
            assert members.shares("carl") == shares and members.cash() == held - 1 + expected


def test_nothing_and_too_much(members):
    with reverts("liquidity_vault: no shares"):
        mint(members, 0)
    with reverts("erc20: transfer amount exceeds balance"):
        mint(members, 2**140)
    with reverts(""):
        mint(members, 2**250)


def test_only_at_rest(offered):
    offered.take_unassigned_lots(1)
    with reverts("liquidity_vault: not idle"):
        mint(offered, WAD)

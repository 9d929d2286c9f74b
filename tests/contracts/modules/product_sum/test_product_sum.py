"""The arithmetic of offsets, compiled alone and compared with the model, up to the most coins there can be.

No test of a deployment has so many coins that an offset passes two scales.
"""

from random import Random

import pytest
from vyper.compiler import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle

from backstop.hosts.abi_codec import ContractAbi
from backstop.hosts.revm import RevmHost
from backstop.model.arithmetic import WAD
from backstop.model.product_sum import (
    LEAST_COINS,
    LEAST_PRODUCT,
    MAX_COINS,
    MAX_SCALES,
    ONE,
    STEP,
    SUM_SCALES,
    State,
)

CALLER = "0x" + "11" * 20
HARNESS = """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.modules import product_sum

initializes: product_sum

@deploy
def __init__():
    product_sum.__init__()

@external
def mark_stake(state: product_sum.State, coins: uint256):
    product_sum._mark_stake(state, 1, coins)

@external
def share(state: product_sum.State, collateral: uint256, income: uint256):
    product_sum._add_collateral(state, collateral)
    product_sum._add_income(state, income)

@external
@view
def compute_stake_balance(state: product_sum.State, coins: uint256) -> product_sum.StakeBalance:
    return product_sum._compute_stake_balance(state, 1, coins)

@external
@pure
def offset_debt(state: product_sum.State, debt: uint256) -> product_sum.State:
    return product_sum._offset(state, debt)

@external
@pure
def compute_offset_room(coins: uint256) -> uint256:
    return product_sum._compute_offset_room(coins)
"""


@pytest.fixture(scope="module")
def call(artifacts):
    # Where the source is said to be comes before every search path.
    path = artifacts.root.parent / "Harness.vy"
    bundle = FilesystemInputBundle([path.parent])
    out = compile_code(
        HARNESS, path, resolved_path=path, output_formats=["abi", "bytecode"], input_bundle=bundle
    )
    abi, host = ContractAbi("Harness", out["abi"]), RevmHost()
    address = host.deploy_contract(bytes.fromhex(out["bytecode"][2:]), CALLER)

    def call_harness(method, *args):
        function = abi.get_function(method, len(args))
        if method in ("mark_stake", "share"):
            return host.run_transaction(CALLER, address, function.encode_call(args)).ok
        return function.decode_result(host.static_call(CALLER, address, function.encode_call(args)).data)

    yield call_harness
    host.close()


@pytest.mark.parametrize(
    ("product", "coins", "scales"),
    [
        (ONE, MAX_COINS, 1),  # 10**36 / 7.9 * 10**10 is 1.26 * 10**25
        (LEAST_PRODUCT, MAX_COINS, 2),
        (LEAST_PRODUCT, 10**9 * LEAST_COINS, 1),
        (LEAST_PRODUCT, 10**9 * LEAST_COINS + 1, 2),  # a product under 10**18 by one
        (ONE, STEP * LEAST_COINS, 0),  # exactly the least
        (ONE, STEP * LEAST_COINS + 1, 1),
        (ONE, LEAST_COINS, 0),
    ],
)
def test_an_offset_of_all_but_a_coin(call, product, coins, scales):
    state = State(product, coins, 7, 1)
    room = call("compute_offset_room", coins)
    assert room == coins - LEAST_COINS
    after = State(*call("offset_debt", tuple(state), room))
    assert after == state.offset_debt(room)
    assert after == (product * LEAST_COINS * STEP**scales // coins, LEAST_COINS, 7 + scales, 1)
    assert LEAST_PRODUCT <= state.offset_debt(room).product <= ONE


@pytest.mark.parametrize("coins", [0, 1, LEAST_COINS - 1, LEAST_COINS, LEAST_COINS + 1, MAX_COINS])
def test_a_coin_is_never_offset(call, coins):
    assert call("compute_offset_room", coins) == max(0, coins - LEAST_COINS) == State(ONE, coins).offset_room


def test_any_offset(call):
    random = Random("offsets")
    for _ in range(300):
        coins = random.randint(LEAST_COINS, random.choice((10**20, 10**25, MAX_COINS)))
        state = State(
            random.randint(LEAST_PRODUCT, random.choice((10**28, ONE))), coins, random.randrange(99), 0
        )
        debt = (coins - LEAST_COINS) * random.choice((0, 1, 500, 999_999, 10**6)) // 10**6
        assert State(*call("offset_debt", tuple(state), debt)) == state.offset_debt(debt)


@pytest.mark.parametrize("passed", [0, 1, 2, MAX_SCALES, MAX_SCALES + 1, 40])
def test_a_stake_of_some_scales_ago(call, passed):
    """A deposit of all coins that there can be, at the least product: nothing of it is left after eight."""
    assert call("mark_stake", (LEAST_PRODUCT, MAX_COINS, 5, 0), MAX_COINS)
    left = MAX_COINS * ONE // LEAST_PRODUCT // STEP**passed
    now = (ONE, MAX_COINS, 5 + passed, 0)
    assert call("compute_stake_balance", now, MAX_COINS) == (left, 0, 0)
    assert (left == 0) == (passed >= 5)


def test_a_stake_counts_what_is_shared_in_its_scale_and_the_next_two(call):
    """Collateral and income alike, and nothing shared before the stake, nor in a later scale."""
    coins, amounts, gained = MAX_COINS // 2, (7 * 10**24, 3 * 10**24), [0, 0]
    assert call("share", (ONE, MAX_COINS, 50, 0), *amounts)
    assert call("mark_stake", (LEAST_PRODUCT, MAX_COINS, 50, 0), coins)
    for passed in range(SUM_SCALES + 3):
        now = (ONE, MAX_COINS, 50 + passed, 0)
        assert call("share", now, *amounts)
        if passed <= SUM_SCALES:
            shared = [ONE * amount // MAX_COINS // STEP**passed for amount in amounts]
            assert min(shared) > 0
            gained = [had + more for had, more in zip(gained, shared, strict=True)]
        found = call("compute_stake_balance", now, coins)
        assert found[1:] == tuple(coins * gain // LEAST_PRODUCT for gain in gained)


def test_a_stake_that_is_forgotten_has_nothing(call):
    for coins in (MAX_COINS, 0):
        assert call("mark_stake", (ONE, MAX_COINS, 60, 0), coins)
    assert call("compute_stake_balance", (ONE, MAX_COINS, 60, 0), WAD) == (0, 0, 0)

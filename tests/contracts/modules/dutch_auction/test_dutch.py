"""The pure maths of auctions, compiled alone and compared with the model over ordinary and absurd values.

The promises of a take are asserted separately: paid up to the wei, sold down to the unit, no rest too small.
"""

import random

import pytest
from vyper.compiler import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle

from backstop.contract_base import RevertError
from backstop.hosts.abi_codec import ContractAbi, decode_revert
from backstop.hosts.revm import RevmHost
from backstop.hosts.storage_layout import encode_word
from backstop.model import dutch_auction
from backstop.model.arithmetic import RAY, WAD, rpow

CALLER = "0x" + "11" * 20
HARNESS = """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.modules import dutch_auction

@external
@pure
def repack(word: uint256) -> uint256:
    return dutch_auction._pack(dutch_auction._unpack(word))

@external
@pure
def fields(word: uint256, amount: uint256, target: uint256) -> uint256[5]:
    return [
        dutch_auction._top(word, amount),
        dutch_auction._reward(word, target),
        dutch_auction._minimum(word),
        dutch_auction._stop(word),
        dutch_auction._penalty(word),
    ]

@external
@pure
def price(word: uint256, top: uint256, elapsed: uint256) -> (uint256, bool):
    return dutch_auction._price(word, top, elapsed)

@external
@pure
def fill(
    word: uint256,
    lot: uint256,
    target: uint256,
    top: uint256,
    price: uint256,
    max_amount: uint256,
    max_price: uint256,
) -> dutch_auction.Fill:
    return dutch_auction._compute_take_fill(word, lot, target, top, price, max_amount, max_price)
"""


@pytest.fixture(scope="module")
def contract(artifacts):
    # Where the source is said to be comes before every search path.
    path = artifacts.root.parent / "Harness.vy"
    bundle = FilesystemInputBundle([path.parent])
    out = compile_code(
        HARNESS, path, resolved_path=path, output_formats=["abi", "bytecode"], input_bundle=bundle
    )
    abi, host = ContractAbi("Harness", out["abi"]), RevmHost()
    address = host.deploy_contract(bytes.fromhex(out["bytecode"][2:]), CALLER)

    def call(method, *args):
        function = abi.get_function(method, len(args))
        result = host.static_call(CALLER, address, function.encode_call(args))
        return function.decode_result(result.data) if result.ok else decode_revert(result.data)

    return call


def sized(rng, bits):
    """A value of a random size up to so many bits."""
    return rng.randrange(1 << rng.randrange(1, bits + 1))


def random_terms(rng):
    return dutch_auction.Terms(
        curve=rng.randrange(3),
        period=rng.randrange(1, 30 * 86_400 + 1),
        cut=rng.randrange(RAY // 2, RAY),
        tail=rng.randrange(60, 30 * 86_400 + 1),
        cusp=rng.randrange(1, 10_001),
        buf=rng.randrange(10_000, 60_001),
        penalty=rng.randrange(10_000, 20_001),
        minimum=sized(rng, 21),
        tip=rng.randrange(10_001),
        chip=rng.randrange(1_001),
        stop=rng.randrange(3),
        decimals=rng.randrange(19),
    )


@pytest.mark.parametrize("seed", range(4))
def test_terms_and_what_is_read_from_them(contract, seed):
    rng = random.Random(seed)
    for _ in range(250):
        terms = random_terms(rng)
        word = encode_word(terms)
        assert contract("repack", word) == word
        value, target = sized(rng, 112), sized(rng, 104)
        expected = terms.top(value), terms.reward(target), terms.minimum * WAD, terms.stop, terms.penalty
        assert contract("fields", word, value, target) == expected


@pytest.mark.parametrize("seed", range(4))
def test_prices(contract, seed):
    rng = random.Random(seed)
    for _ in range(250):
        terms, top = random_terms(rng), sized(rng, 112) or 1
        elapsed = rng.choice(
            [0, 1, terms.period - 1, terms.period, terms.tail, terms.tail + 1, sized(rng, 32)]
        )
        price, due = contract("price", encode_word(terms), top, elapsed)
        assert (price, due) == terms.price(top, elapsed)
        assert price <= top
        assert due or price != 0


@pytest.mark.parametrize("seed", range(8))
def test_fills(contract, seed):
    rng = random.Random(seed)
    for _ in range(500):
        terms = random_terms(rng)
        unit, least = terms.unit, terms.minimum * WAD
        lot = max(1, sized(rng, 103) // unit) * unit
        top = terms.top(sized(rng, 112)) or 1
        price = max(1, top * rng.randrange(1, 10_001) // 10_000)
        value = lot * price // RAY
        target = rng.choice([sized(rng, 93), value + rng.randrange(-3, 4), value * rng.randrange(300) // 100])
        target = min(max(1, target), 2**104 - 1)
        amount = rng.choice([lot, 2**256 - 1, lot - 1, lot // 2, rng.randrange(lot + 1), 0])
        limit = rng.choice([price, price, price - 1, 2 * price, 2**256 - 1, 2**256 - 1])
        args = (lot, target, top, price, amount, limit)
        found = contract("fill", encode_word(terms), *args)
        try:
            assert found == dutch_auction.compute_take_fill(terms, *args)
        except RevertError as revert:
            assert found == revert.reason
            continue
        collateral, paid, rest = found
        assert 0 < collateral <= min(lot, amount) and collateral % unit == 0
        assert paid + rest == target
        # Never less than the price, never more than a unit and a wei beyond it, nor than what was named.
        assert 0 <= paid * RAY - collateral * price < unit * price + RAY
        assert (paid - 1) * RAY < (collateral + 1) * limit
        if rest and collateral != lot:
            assert rest >= least
            assert (lot - collateral) * (top * 10_000 // terms.buf) >= least * RAY


def test_the_price_of_a_step_is_that_of_its_start(contract):
    word = encode_word(
        dutch_auction.Terms(curve=1, period=90, cut=99 * RAY // 100, tail=8_400, cusp=1, buf=10_000)
    )
    assert contract("price", word, 100 * RAY, 89) == (100 * RAY, False)
    assert contract("price", word, 100 * RAY, 90) == (99 * RAY, False)


def test_the_market_price_is_reached_after_32_steps(contract):
    """buf 1.1, 0.3% every 30 seconds: the figures of Maker's calculator."""
    word = encode_word(
        dutch_auction.Terms(curve=1, period=30, cut=997 * RAY // 1_000, tail=9_000, cusp=6_000, buf=11_000)
    )
    top = 1_100 * RAY
    assert contract("price", word, top, 31 * 30)[0] > 1_000 * RAY
    assert contract("price", word, top, 32 * 30)[0] < 1_000 * RAY
    assert contract("price", word, top, 170 * 30)[1] is False
    assert contract("price", word, top, 171 * 30)[1] is True


def test_a_rest_of_exactly_the_minimum_changes_nothing_of_what_was_asked_for(contract):
    """At a price under one stablecoin the same payment buys a few wei more; no taker gets more than asked."""
    word = encode_word(dutch_auction.Terms(buf=10_000, minimum=100, decimals=18))
    amount, price = 2_700 * WAD - 2, RAY // 3
    found = contract("fill", word, 10_000 * WAD, 1_000 * WAD, RAY, price, amount, price)
    assert found == (amount, 900 * WAD, 100 * WAD)


def test_no_price_before_the_start():
    """The contract's subtraction of times reverts; a loop over the bits of a number below zero has no end."""
    with pytest.raises(RevertError):
        rpow(RAY // 2, -1)

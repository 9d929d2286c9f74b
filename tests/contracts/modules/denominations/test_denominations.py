"""How shares are counted in later generations, compiled alone: at each bound, by hand."""

import pytest
from vyper.compiler import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle

from backstop.hosts.abi_codec import ContractAbi, decode_revert
from backstop.hosts.revm import RevmHost
from backstop.model import denominations

CALLER = "0x" + "11" * 20
STEP, VIRTUAL = 10**9, 10**6
HARNESS = """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.modules import denominations

@external
@pure
def convert(shares: uint256, recorded: uint256, present: uint256) -> uint256:
    return denominations._convert(shares, recorded, present)

@external
@pure
def steps(supply: uint256, assets: uint256) -> uint256:
    return denominations._steps(supply, assets)
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


@pytest.mark.parametrize("assets", [0, 1, 10**6, 10**6 + 1, 10**12, 10**18, 10**27, 2**96 - 1], ids=str)
def test_the_least_steps_that_leave_1e15_shares_for_a_wei(contract, assets):
    """With the virtual ones: at most (1e15 * (A + 1) - 1e6) of those that are left after n divisions."""
    most = 10**15 * (assets + 1) - VIRTUAL
    for n in range(4):
        # The largest supply of which n divisions leave as many, and one more.
        supply = (most + 1) * STEP**n - 1
        for shares, expected in ((supply, n), (supply + 1, n + 1)):
            if shares < 2**147:
                assert contract("steps", shares, assets) == expected
                assert denominations.count_generation_steps(shares, assets) == expected


def test_four_steps_are_enough_for_any_supply(contract):
    """2**147 shares after four: 178,405,961, with the virtual ones far less than 1e15."""
    assert 2**147 // STEP**4 == 178_405_961
    assert contract("steps", 2**147 - 1, 0) == denominations.count_generation_steps(2**147 - 1, 0) == 4
    assert contract("steps", 0, 0) == denominations.count_generation_steps(0, 0) == 0


@pytest.mark.parametrize("present", [7, 7 + 2**31], ids=["early", "late"])
def test_shares_are_divided_for_each_generation_and_rounded_down(contract, present):
    for shares in (0, 1, STEP - 1, STEP, 2 * STEP - 1, STEP**2 - 1, STEP**4 - 1, STEP**4, 2**147 - 1):
        for steps in range(5):
            if steps <= present:
                expected = shares // STEP**steps
                assert contract("convert", shares, present - steps, present) == expected
                assert denominations.convert_shares(shares, present - steps, present) == expected


@pytest.mark.parametrize("steps", [5, 6, 1_000, 2**32 - 1], ids=str)
def test_after_five_generations_there_are_none(contract, steps):
    """From any start: a power of the step that is too large would wrap."""
    assert contract("convert", 2**152 - 1, 0, steps) == 0
    assert denominations.convert_shares(2**152 - 1, 0, steps) == 0


def test_several_divisions_leave_what_one_by_all_leaves(contract):
    """So the time at which a record is brought up to date makes no difference."""
    for shares in (10**27 - 1, 123_456_789_987_654_321_123_456_789, 2**147 - 1):
        for first in range(5):
            for second in range(5 - first):
                twice = contract("convert", contract("convert", shares, 0, first), 0, second)
                assert twice == shares // STEP ** (first + second)

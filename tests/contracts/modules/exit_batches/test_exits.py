"""The divisions' effect on ceilings, compiled alone: undoing them rounds up."""

import pytest
from vyper.compiler import compile_code
from vyper.compiler.input_bundle import FilesystemInputBundle

from backstop.hosts.abi_codec import ContractAbi, decode_revert
from backstop.hosts.revm import RevmHost

CALLER = "0x" + "11" * 20
STEP, SCALE = 10**9, 10**47
HARNESS = """
# pragma version 0.4.3
# pragma evm-version cancun
from contracts.modules import exit_batches
from contracts.modules import redeem_queue as line

initializes: line
initializes: exit_batches[line := line]

@deploy
def __init__():
    line.__init__(0, 1)

@external
def divide(
    unsettled: uint256, generation: uint256, steps: uint256, groups: DynArray[exit_batches.ExitGroup, 32]
) -> uint256:
    return exit_batches._rescale_exit_groups(groups, unsettled, generation, steps)

@external
def set(index: uint256):
    exit_batches.index = index

@external
def set_base(generation: uint256, index: uint256):
    exit_batches.bases[generation] = index

@external
@view
def told_back(ceiling: uint256, generation: uint256, cut: uint256) -> uint256:
    return exit_batches._convert_ceiling_to_older_generation(ceiling, generation, cut)

@external
@view
def base(generation: uint256) -> uint256:
    return exit_batches.bases[generation]

@external
@view
def level_of(batch: uint256) -> uint256:
    return exit_batches.levels[batch]

@external
@view
def index_now() -> uint256:
    return exit_batches.index
"""


@pytest.fixture(scope="module")
def compiled(artifacts):
    """Its functions and its code."""
    # Where the source is said to be comes before every search path.
    path = artifacts.root.parent / "Harness.vy"
    bundle = FilesystemInputBundle([path.parent])
    out = compile_code(
        HARNESS, path, resolved_path=path, output_formats=["abi", "bytecode"], input_bundle=bundle
    )
    return ContractAbi("Harness", out["abi"]), bytes.fromhex(out["bytecode"][2:])


@pytest.fixture
def contract(compiled):
    (abi, code), host = compiled, RevmHost()
    address = host.deploy_contract(code, CALLER)

    def call(method, *args):
        function = abi.get_function(method, len(args))
        is_view = method in ("told_back", "base", "level_of", "index_now")
        result = (host.static_call if is_view else host.run_transaction)(
            CALLER, address, function.encode_call(args)
        )
        return function.decode_result(result.data) if result.ok else decode_revert(result.data)

    return call


def test_of_its_own_generation_a_ceiling_is_itself(contract):
    contract("set_base", 3, 10**40)
    assert contract("told_back", 7, 3, 3) == 7


@pytest.mark.parametrize(
    ("ceiling", "expected"), [(0, 100), (1, 101), (STEP, 101), (STEP + 1, 102), (5 * STEP, 105)], ids=str
)
def test_over_a_division_it_is_a_1e9th_rounded_up_above_the_base(contract, ceiling, expected):
    contract("set_base", 3, 100)
    assert contract("told_back", ceiling, 4, 3) == expected


def test_over_several_each_is_rounded_up_and_has_its_base(contract):
    """1e27 + 1 in generation 3, over bases of 50, 40 and 30 at the ends of 2, 1 and 0."""
    for generation, base in ((0, 30), (1, 40), (2, 50)):
        contract("set_base", generation, base)
    # ceil((1e27 + 1) / 1e9) + 50, ceil of a 1e9th of that + 40, and again + 30.
    assert contract("told_back", STEP**3 + 1, 3, 2) == STEP**2 + 1 + 50
    assert contract("told_back", STEP**3 + 1, 3, 1) == STEP + 1 + 40
    assert contract("told_back", STEP**3 + 1, 3, 0) == 2 + 30


@pytest.mark.parametrize("back", [9, 10, 1_000])
@pytest.mark.parametrize("ceiling", [1, 2**255], ids=["least", "most"])
def test_over_nine_and_more_it_is_one_where_it_has_come_to(contract, back, ceiling):
    """From any height: STEP**9 is more, so the remainder is rounded up to one."""
    contract("set_base", 0, 77)
    assert contract("told_back", ceiling, back, 0) == 1 + 77


def test_a_division_counts_ceilings_from_zero_in_shares_of_then(contract):
    """Above the index of 5: 7 and 6 parts for 2e9 + 1 and 3e9 shares, and one at the index."""
    contract("set", 5)
    groups = [(1, 2 * STEP + 1, 12), (2, 3 * STEP, 11), (3, STEP - 1, 5)]
    assert contract("divide", 1, 0, 1, groups) == 0
    assert [contract("level_of", k) for k in (1, 2, 3)] == [7 * STEP, 6 * STEP, 1]
    assert contract("index_now") == 0
    assert contract("base", 0) == 5


def test_what_groups_hold_is_rounded_down_for_each(contract):
    """Of 1.5 wei for each of two shares and 2.5 for one: 3 and 2, not 5.5; divided twice."""
    half = SCALE // 2
    groups = [(1, 2 * STEP**2, 3 * half // STEP**2), (2, 2 * STEP**2 - 1, 5 * half // STEP**2)]
    assert contract("divide", 1, 4, 2, groups) == 3 + 2
    assert contract("level_of", 1) == 3 * half
    assert contract("base", 4) == 0 and contract("base", 5) == 0

"""Records as storage words, keys as slots."""

from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backstop.contract_base import ZERO_ADDRESS, Contract, World, declare_record_slot_bit_widths
from backstop.deployment.contracts_by_parameter_name import STAGES
from backstop.deployment.example_parameters import build_standard_parameters
from backstop.deployment.model_and_chain_deployment import create_model, find_model_class
from backstop.deployment.parameter_dataclasses import (
    BackstopParameters,
    FacilitatorParameters,
    MarginParameters,
    StageParameters,
)
from backstop.deployment.planned_contracts import plan_deployment
from backstop.errors import BackstopError
from backstop.hosts import storage_layout
from tests.support.adapter_steps import with_adapter

STORAGE = {
    "total": (0, "uint256"),
    "vaults": (4, "HashMap[uint256, HashMap[address, uint256]]"),
    "names": (5, "HashMap[String[8], uint256]"),
    "list": (6, "DynArray[uint256, 3]"),
}


@declare_record_slot_bit_widths(160, 40, 1)
class Record(NamedTuple):
    owner: str = ZERO_ADDRESS
    amount: int = 0
    open: bool = False


@given(st.binary(min_size=20, max_size=20), st.integers(0, 2**40 - 1), st.booleans())
def test_a_record_comes_back_from_its_word(owner, amount, is_open):
    record = Record("0x" + owner.hex(), amount, is_open)
    word = storage_layout.encode_word(record)
    assert word == int(record.owner, 16) | amount << 160 | is_open << 200
    assert storage_layout.decode_word(word, Record()) == record


@pytest.mark.parametrize("value", [0, 2**256 - 1, True, "0x" + "ab" * 20, bytes(range(32))])
def test_a_plain_value_comes_back_from_its_word(value):
    decoded = storage_layout.decode_word(storage_layout.encode_word(value), value)
    assert decoded == value and type(decoded) is type(value)


def test_negative_numbers_are_twos_complement():
    assert storage_layout.encode_word(-1) == 2**256 - 1


def test_a_field_that_is_too_wide_is_named():
    with pytest.raises(
        storage_layout.SlotOverflowError, match=r"1099511627776 of Record\(.*\) does not fit 40 bits"
    ) as caught:
        storage_layout.encode_word(Record(amount=2**40))
    assert (caught.value.field, caught.value.value) == ("amount", 2**40)


@declare_record_slot_bit_widths(160, -40)
class Balance(NamedTuple):
    owner: str = "0x" + "00" * 20
    amount: int = 0


@given(st.binary(min_size=20, max_size=20), st.integers(-(2**39), 2**39 - 1))
def test_a_signed_field_is_twos_complement_in_its_own_bits(owner, amount):
    record = Balance("0x" + owner.hex(), amount)
    word = storage_layout.encode_word(record)
    assert word == int(record.owner, 16) | amount % 2**40 << 160
    assert storage_layout.decode_word(word, Balance()) == record


@pytest.mark.parametrize("amount", [2**39, -(2**39) - 1])
def test_a_signed_field_that_is_too_wide_is_named(amount):
    with pytest.raises(
        storage_layout.SlotOverflowError, match=f"{amount} does not fit 40 signed bits"
    ) as caught:
        storage_layout.encode_word(Balance(amount=amount))
    assert (caught.value.field, caught.value.value) == ("amount", amount)


@pytest.mark.parametrize("value", [2**256, -(2**255) - 1])
def test_a_plain_value_that_is_too_wide_is_named(value):
    with pytest.raises(storage_layout.SlotOverflowError, match=f"^{value} does not fit a storage slot$"):
        storage_layout.encode_word(value)


def test_an_unknown_variable_is_named():
    with pytest.raises(BackstopError, match=r"Shop stores no 'depts'; it stores list, names, total, vaults"):
        storage_layout.find_variable("Shop", "depts", STORAGE)


@pytest.mark.parametrize("path", ["names", "list"])
def test_what_is_not_one_slot_is_refused(path):
    with pytest.raises(BackstopError, match="not"):
        storage_layout.find_variable("Shop", path, STORAGE)


@pytest.mark.parametrize(
    ("path", "key"), [("total", 1), ("vaults", 1), ("vaults", ()), ("vaults", (1, 2, 3))]
)
def test_a_key_has_as_many_parts_as_the_variable_has_mappings(path, key):
    with pytest.raises(BackstopError, match="is not a key"):
        storage_layout.compute_slot(storage_layout.find_variable("Shop", path, STORAGE), key)


def test_every_model_table_has_its_variable(artifacts):
    """A path that the compiler does not know, or a record that is wider than a slot, shows here."""
    every = replace(
        build_standard_parameters(),
        stages=tuple(StageParameters(name) for name in STAGES),
        facilitators=(FacilitatorParameters("Rollup", line=0),),
        margin=MarginParameters(()),
    )
    pooled = MarginParameters((), backstop=BackstopParameters())
    contracts: dict[str, Contract] = {}
    insured = plan_deployment(with_adapter())
    for made in (plan_deployment(replace(every, margin=pooled)), insured, plan_deployment(every)):
        world = create_model(made).world
        contracts |= {made.contract_kinds[name]: contract for name, contract in world.contracts.items()}
    for kind in artifacts.paths:
        contract = contracts.get(kind) or _construct(world, kind)
        for path, table in contract.tables.items():
            storage_layout.find_variable(kind, path, artifacts[kind].storage)
            assert sum(getattr(table.default, "BITS", (256,))) <= 256
            assert len(getattr(table.default, "BITS", (256,))) == storage_layout.count_fields(table.default)


def _construct(world: World, kind: str) -> Contract:
    """A contract that no deployment has, of the plainest arguments."""
    plain: dict[str, object] = {
        "int": 0,
        "str": ZERO_ADDRESS,
        "bool": False,
        "Sequence[tuple[str, bytes, int]]": (),
        "Wiring": (ZERO_ADDRESS,) * 6,
        # Of the perpetual markets, and of their desk.
        "Rules": (600, 0, 1, 0),
    }
    least: dict[str, object] = {
        "heartbeat": 1,
        "max_answer": 1,
        "longest": 30 * 86_400,
        "window": 86_400,
        "epoch_length": 3_600,
    }
    least |= {"vesting": 86_400, "entry_delay": 3_600}
    least |= {"loss_waterfall": world.contracts["LossWaterfall"].address}
    least |= {"collateral": world.contracts["Stablecoin"].address}
    model = find_model_class(kind)
    _, _, _, *parameters = (item for item in model.__init__.__annotations__.items() if item[0] != "return")
    args = (least.get(name, plain[type_]) for name, type_ in parameters)
    return model(world, kind, f"0x{len(world.contracts):040x}", *args)

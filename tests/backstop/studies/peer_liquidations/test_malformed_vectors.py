"""A malformed case or file gives one line with the place, the error, and the expected form."""

import copy
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from backstop.errors import BackstopError
from backstop.studies.peer_liquidations.euler_vault_kit import liquidate_euler_position
from backstop.studies.peer_liquidations.vector_case import VectorCaseError
from backstop.studies.peer_liquidations.vector_replay import (
    NOTHING,
    read_vector_groups,
    replay_vector_group,
)
from tests.support.peer_vectors import VECTORS, load_group


def refuse_case(group: str, case: Any) -> str:
    with pytest.raises(VectorCaseError) as caught:
        replay_vector_group(group, [load_group(group)[0], case])
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_a_case_without_a_field_names_it() -> None:
    case = copy.deepcopy(load_group("morpho_liquidate")[0])
    del case["price"]
    expected = "case 1 of morpho_liquidate lacks the field 'price': give an integer from 0 to 2**256 - 1"
    assert refuse_case("morpho_liquidate", case) == expected


@pytest.mark.parametrize("value", [-1, 2**256, 1.0, "1", True, None, [1]])
def test_an_amount_is_an_integer_of_256_bits(value: Any) -> None:
    case = load_group("morpho_liquidate")[0] | {"price": value}
    text = refuse_case("morpho_liquidate", case)
    assert text.startswith(f"case 1 of morpho_liquidate, field 'price' is {value!r:.60}: it has to be an int")


@pytest.mark.parametrize(
    ("group", "change", "text"),
    [
        (
            "morpho_liquidate",
            {"totals": [1, 2, 3]},
            "field 'totals' is [1, 2, 3]: it has to be a list of 4",
        ),
        ("morpho_liquidate", {"surprise": 1}, "case 1 has the field 'surprise': known are"),
        ("aave", {"seize": 4}, "field 'seize' is 4: there are"),
        ("aave", {"reserves": {}}, "field 'reserves' is {}: it has to be a list"),
        ("aave", {"reserves": [7]}, "field 'reserves'[0] is 7: it has to be an object with decimals"),
        ("aave", {"as_token": 1}, "field 'as_token' is 1: it has to be true or false"),
        ("euler", {"collaterals": [{"balance": 1}]}, "lacks the field 'price'"),
        (
            "euler",
            {"collaterals": [{"balance": 1, "price": 1, "ltv": 1, "extra": 1}]},
            "field 'collaterals'[0] has the field 'extra': known are balance, price, ltv",
        ),
        ("aave_v4_bonus", {"in": [1, 2, 3]}, "field 'in' is [1, 2, 3]: it has to be a list of 4"),
        ("aave_v4_whole", {"deficit_ray": ["1", "x"]}, "field 'deficit_ray' is ['1', 'x']: give integers"),
        ("liquity1", {"deployed": True}, "field 'deployed' is true: only the repository's code"),
        ("liquity1", {"ops": "price"}, "field 'ops' is 'price': give a list of operations"),
        ("liquity2", {"ops": [{"op": "burn"}]}, "ops[0] is {'op': 'burn'}: `op` has to be one of price"),
        ("liquity2", {"ops": [{"op": "price"}]}, "ops[0] lacks the field 'price'"),
        ("liquity2_urgent", {"troves": {"T": [1]}}, "'T' is [1]: it has to be a list of 2"),
        ("liquity2_urgent", {"troves": [1]}, "field 'troves' is [1]: give an object by owner"),
    ],
)
def test_a_field_of_another_form_is_named(group: str, change: dict[str, Any], text: str) -> None:
    assert text in refuse_case(group, load_group(group)[0] | change)


def test_a_case_is_an_object_with_an_outcome() -> None:
    case = {
        key: value for key, value in load_group("aave_deficit")[0].items() if key in ("deficit", "scaled")
    }
    assert refuse_case("aave_deficit", case) == (
        "aave_deficit, case 1 records no outcome: give covered or deficit_after or scaled_after or status"
    )
    assert refuse_case("aave_deficit", 5) == "aave_deficit, case 1 is 5: a case is an object"


def test_the_functions_refuse_alone_too() -> None:
    with pytest.raises(VectorCaseError, match=r"^euler lacks the field 'owed': give an integer"):
        liquidate_euler_position({})


def test_an_unknown_group_lists_the_known_ones() -> None:
    with pytest.raises(BackstopError, match=r"^group 'maker' is unknown; expected one of morpho_liquidate, "):
        replay_vector_group("maker", [])


def test_a_recorded_field_that_is_missing_or_false_is_a_difference() -> None:
    case = copy.deepcopy(load_group("aave_deficit")[0])
    case["covered"] += 1
    del case["scaled_after"]
    covered, scaled = replay_vector_group("aave_deficit", [case])
    assert (covered.field, covered.expected - covered.found) == ("covered", 1)
    assert (scaled.case, scaled.field, scaled.expected) == (0, "scaled_after", NOTHING)


def test_a_vector_file_is_read_plain_and_gzipped(tmp_path: Path) -> None:
    document = {"about": "a remark", "aave_v4_bonus": {"about": "", "cases": load_group("aave_v4_bonus")}}
    plain, zipped = tmp_path / "plain.json", tmp_path / "zipped.json.gz"
    plain.write_text(json.dumps(document))
    zipped.write_bytes(gzip.compress(plain.read_bytes()))
    for path in (plain, zipped):
        assert read_vector_groups(path) == {"aave_v4_bonus": load_group("aave_v4_bonus")}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            (VECTORS / "aave_v4_bonus.json.gz").read_bytes()[:500],
            "cannot be read as vectors: Compressed file",
        ),
        (b"\x1f\x8b\x08", "cannot be read as vectors"),
        (b"{", "cannot be read as vectors: Expecting property name"),
        (b"\xff\xfe\x00", "cannot be read as vectors"),
        (b"[]", "is a list: vectors are an object with a field for each group"),
        (b'{"euler": {}}', "group 'euler' has no list `cases`"),
        (b'{"euler": []}', "group 'euler' has no list `cases`"),
    ],
)
def test_a_file_that_is_cut_off_or_no_vectors_is_one_line(tmp_path: Path, content: bytes, text: str) -> None:
    path = tmp_path / "vectors.json"
    path.write_bytes(content)
    with pytest.raises(BackstopError) as caught:
        read_vector_groups(path)
    assert str(caught.value).startswith(str(path))
    assert text in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BackstopError, match="No such file or directory"):
        read_vector_groups(tmp_path / "none.json")


def test_the_files_are_deterministic_gzip() -> None:
    for path in VECTORS.glob("*.json.gz"):
        header = path.read_bytes()[:10]
        assert header[3:8] == b"\x00\x00\x00\x00\x00", path.name  # no name, no time

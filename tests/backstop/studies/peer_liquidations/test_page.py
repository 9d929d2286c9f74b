"""The page names each group with its function and the number of its cases."""

import re

from backstop.studies.peer_liquidations import vector_replay
from tests.support.checkout_paths import ROOT
from tests.support.peer_vectors import load_group

PAGE = (ROOT / "docs" / "reference" / "peer-liquidations.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `([\w.]+)` \| (\d+)(?: sequences, ([\d,]+) operations)? \|", re.MULTILINE)


def test_the_table_has_every_group_its_function_and_its_cases() -> None:
    rows = ROW.findall(PAGE)
    assert [name for name, *_ in rows] == list(vector_replay.GROUPS)
    for name, function, cases, operations in rows:
        compute = vector_replay.GROUPS[name].compute
        module = compute.__module__.rpartition(".")[2]
        assert f"{module}.{compute.__name__}" == function
        recorded = load_group(name)
        assert len(recorded) == int(cases)
        if operations:
            assert sum(len(each["ops"]) for each in recorded) == int(operations.replace(",", ""))

"""The fast compile path gives the compiler's own output. (Ape compiles without that path, to the same.)"""

import gc
from contextlib import nullcontext

import pytest
from vyper.ir import optimizer

from backstop.hosts import artifacts, compiler_speedup
from backstop.hosts.artifacts import Artifacts


@pytest.mark.deep(brief="tests/backstop/hosts/test_compiler.py::test_it_leaves_the_compiler_as_it_was")
def test_the_same_output_in_less_work(monkeypatch):
    kind = "EquityAuction"
    looks: list[int] = []
    whole = optimizer._optimize

    def counted(node, parent):
        looks[-1] += 1
        return whole(node, parent)

    monkeypatch.setattr(optimizer, "_optimize", counted)
    path, root = Artifacts().paths[kind], str(Artifacts().root.parent)
    compiled = []
    for how in (nullcontext, compiler_speedup.speed_up_compiler):
        looks.append(0)
        monkeypatch.setattr(artifacts, "speed_up_compiler", how)
        compiled.append(artifacts._compile_contract(kind, str(path), root))
    assert compiled[0] == compiled[1] == Artifacts()[kind]
    assert 3 * looks[1] < looks[0]


def test_it_leaves_the_compiler_as_it_was():
    whole, thresholds = optimizer._optimize, gc.get_threshold()
    with pytest.raises(ZeroDivisionError), compiler_speedup.speed_up_compiler():
        assert optimizer._optimize is not whole
        raise ZeroDivisionError
    assert optimizer._optimize is whole and gc.get_threshold() == thresholds

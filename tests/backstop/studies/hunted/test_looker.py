"""A process in a changed copy answers, or says why it cannot; what a pair changes is watched."""

from pathlib import Path

import pytest

from backstop.proof.mutation.pairs import Change, Pair, read_pairs
from backstop.proof.mutation.witnesses import copied
from backstop.studies.hunt.case import STUCK
from backstop.studies.hunted.looker import Look, Looker
from backstop.studies.hunted.watch import MET, Watch

MODEL = "offchain/backstop/model/x.py"


def pair(before, after):
    return Pair("one", "", "", "by hand", "", (Change(MODEL, before, after),))


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("value = 1", "value = 2", "        value = 1"),
        # What goes, and what is added.
        ("    value = 1\n        rest()", "    value = 1", "        rest()"),
        ("rest()", "rest()\n        again()", "        rest()"),
        # Within a statement of several lines, and in a condition.
        ("2,", "3,", "        call("),
        ("value > 1", "value < 1", "        if value > 1:"),
        ("value > 0", "value < 0", "        if value > 1:"),
    ],
)
def test_what_a_pair_changes_is_told_before_it_runs(tmp_path, before, after, line):
    file = tmp_path / MODEL
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    Watch([pair(before, after)]).apply(tmp_path)
    lines = file.read_text().splitlines()
    at = next(index for index, each in enumerate(lines) if MET in each)
    assert lines[at] == f"        {MET}('one')"
    assert lines[at + 1] == line
    compile("\n".join(lines), MODEL, "exec")
    del lines[at]
    assert lines == TEXT.splitlines()


TEXT = '''\
from x import y


class X:
    def do(self):
        """Do it."""
        value = 1
        rest()
        call(
            1,
            2,
        )
        if value > 1:
            pass
        elif value > 0:
            pass
'''


def test_an_import_is_nobodys_place(tmp_path):
    file = tmp_path / MODEL
    file.parent.mkdir(parents=True)
    file.write_text(TEXT)
    Watch([pair("import y", "import y, z")]).apply(tmp_path)
    assert file.read_text() == TEXT


@pytest.mark.deep(brief="tests/backstop/studies/hunted/test_trials.py::test_the_command_reads_what_is_kept")
def test_a_process_that_ends_says_its_last_words():
    """A mistake may bring the hunt down where the rules never did."""
    (some,) = (each for each in read_pairs() if each.name == "upper-median")
    file = "offchain/backstop/studies/hunt/stuck.py"
    down = Pair("down", "", "", "by hand", "", (Change(file, "TRIALS = 40", "raise ValueError('down')"),))
    with copied(down) as copy, Looker(copy, 3) as looker:
        assert looker.look((0, STUCK)) == Look(broken="ValueError: down")
        assert looker.look((1, STUCK)) == Look(broken="ValueError: down")
    with copied(some) as copy, Looker(copy, 3, stopped=lambda: True) as looker:
        assert looker.look((0, STUCK)) is None
    assert not Path(copy.root).exists()

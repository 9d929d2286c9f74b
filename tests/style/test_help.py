"""Help of the commands: a sentence in the imperative, an effect and a default for each option, no riddles."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from backstop.cli.command_helpers import LongChoice
from backstop.cli.main import QUESTIONS, main
from tools.prose.count import iter_hits

VERBS = {
    *(
        "Answer",
        "Audit",
        "Break",
        "Calibrate",
        "Check",
        "Compare",
        "Copy",
        "Crash",
        "Deploy",
        "Draw",
        "Drive",
    ),
    *(
        "Estimate",
        "Export",
        "Fit",
        "Follow",
        "Fuzz",
        "Import",
        "Index",
        "List",
        "Measure",
        "Mirror",
        "Print",
        "Propose",
    ),
    *("Replay", "Reproduce", "Run", "Search", "Show", "Shrink", "Sign", "Test", "Write"),
}
"""Verbs that a command's help may begin with: a new command may add its own."""
MOST_SHOWN = 8
"""Values of a choice that usage and errors may spell out."""
NAMES = [name for commands in QUESTIONS.values() for name in commands]


def get_command(name: str) -> click.Command:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    return command


def iter_option_problems(option: click.Option) -> Iterator[str]:
    """Yield what an option's help lacks.

    It ends in a full stop, apart from a bracket with the default. It has such a bracket, by click or in
    words, unless the option is a flag without a negation, or required by click or in words.
    """
    context = click.Context(click.Command("backstop"), info_name="backstop")
    text = option.help or ""
    record = option.get_help_record(context)
    assert record is not None
    if not text.split("  [")[0].endswith("."):
        yield f"{option.opts[0]}: {text!r} ends without a full stop"
    flag = option.is_flag and not option.secondary_opts
    if not (flag or option.required or "[default: " in record[1] or "required" in text):
        yield f"{option.opts[0]}: {text!r} states no default"
    if option.multiple and "repeatable" not in text:
        yield f"{option.opts[0]}: {text!r} does not say that it is repeatable"


def list_spelt_out_choices(command: click.Command) -> list[str]:
    """Return parameters with more values than a line shows, which are listed all the same."""
    return [
        each.opts[0]
        for each in command.params
        if isinstance(each.type, click.Choice)
        and len(each.type.choices) > MOST_SHOWN
        and not (isinstance(each.type, LongChoice) and each.metavar)
    ]


def list_riddles(command: click.Command) -> list[str]:
    """Return sentences of a command's help that hide a subject; `whose` has a noun before it."""
    texts = [
        command.help,
        command.short_help,
        *(each.help for each in command.params if hasattr(each, "help")),
    ]
    found = [hit for text in texts for hit in iter_hits((text or "").replace("\b", ""))]
    return [sentence for rule, sentence in found if rule == "bare" or "whose" not in sentence]


@pytest.mark.parametrize("name", NAMES)
def test_a_command_opens_with_an_imperative_sentence(name: str) -> None:
    command = get_command(name)
    first, _, rest = (command.help or "").partition("\n\n")
    assert first.split()[0] in VERBS and first.endswith("."), first
    assert command.short_help is not None
    assert command.short_help.split()[0] in VERBS and not command.short_help.endswith("."), command.short_help
    assert "Exit codes: 0 " in rest and "Examples:" in (command.epilog or "")


@pytest.mark.parametrize("name", NAMES)
def test_each_option_states_its_effect_and_its_default(name: str) -> None:
    options = [each for each in get_command(name).params if isinstance(each, click.Option)]
    assert [problem for each in options for problem in iter_option_problems(each)] == []


@pytest.mark.parametrize("name", NAMES)
def test_help_hides_no_subject_and_spells_out_no_long_list(name: str) -> None:
    assert list_riddles(get_command(name)) == []
    assert list_spelt_out_choices(get_command(name)) == []


def test_the_list_of_commands_hides_no_subject() -> None:
    assert [hit for question in QUESTIONS for hit in iter_hits(question)] == []
    assert list(iter_hits(main.help or "")) == []


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        (click.Option(["--paths"], required=True, help="Number of paths"), "ends without a full stop"),
        (click.Option(["--paths"], default=1, help="Number of paths."), "states no default"),
        (click.Option(["--paths"], default=1, show_default=True, help="Number of paths."), None),
        (click.Option(["--paths"], help="Number of paths.  [default: of the study]"), None),
        (click.Option(["--paths"], required=True, help="Number of paths."), None),
        (click.Option(["--fast"], is_flag=True, help="Skip the check."), None),
        (click.Option(["--fast/--slow"], help="Skip the check."), "states no default"),
        (click.Option(["--path"], multiple=True, help="A path.  [default: all]"), "repeatable"),
    ],
)
def test_a_lacking_help_is_seen(option: click.Option, problem: str | None) -> None:
    found = list(iter_option_problems(option))
    assert len(found) == (problem is not None) and all(str(problem) in each for each in found)


def test_a_riddle_and_a_long_list_are_seen() -> None:
    long = [str(number) for number in range(MOST_SHOWN + 1)]
    params = [click.Option(["--all"], type=click.Choice(long), help="What it does.")]
    command = click.Command("backstop", help="Say who pays.", params=params)
    assert list_riddles(command) == ["Say who pays.", "Say who pays.", "What it does."]
    assert list_spelt_out_choices(command) == ["--all"]


def test_a_long_choice_names_the_list() -> None:
    long = LongChoice([*map(str, range(20, 29)), "reports"], "bench --help")
    option = click.Option(["--part"], type=long, metavar="PART")
    expected = "'report' is unknown; expected one of 10 values, as 'reports'"
    with pytest.raises(click.BadParameter, match=expected) as caught:
        option.type_cast_value(click.Context(click.Command("backstop")), "report")
    assert "bench --help` lists them" in caught.value.message and "25" not in caught.value.message

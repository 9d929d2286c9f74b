"""Each operator makes the faults that its name says, and only in code that runs."""

from textwrap import dedent, indent

import pytest

from backstop.proof.mutation.mutation_operators import OPERATORS
from backstop.proof.mutation.vyper_source import VyperSource, iter_code


def mutants(operator: str, text: str) -> list[str]:
    """The text with each fault, as a list; statements are given without their function."""
    head = "" if "constant" in text else "@external\ndef f():\n"
    body = dedent(text).strip()
    source = VyperSource(head + (indent(body, "    ") if head else body) + "\n")
    found = []
    for _, part in source.iter_functions_and_constants():
        for node in iter_code(part):
            for edit in OPERATORS[operator](node, source):
                changed = source.text[: edit.start] + edit.text + source.text[edit.end :]
                found.append(dedent(changed.removeprefix(head)).strip())
    return found


@pytest.mark.parametrize(
    ("operator", "text", "expected"),
    [
        ("comparison", "x = a < b", ["x = a <= b", "x = a >= b"]),
        ("comparison", "x = a == b", ["x = a != b"]),
        ("comparison", "x = a not in [b, c]", ["x = a in [b, c]"]),
        ("logic", "x = a and b or c", ["x = a and b and c", "x = a or b or c"]),
        ("logic", "x = not (a or b)", ["x = (a or b)", "x = not (a and b)"]),
        ("arithmetic", "x = a - (b + c)", ["x = a + (b + c)", "x = a - (b - c)"]),
        ("arithmetic", "x += a", ["x -= a"]),
        ("arithmetic", "x ^= a", ["x |= a"]),
        (
            "arithmetic",
            "x = unsafe_mul(min(a, b), c)",
            ["x = unsafe_div(min(a, b), c)", "x = unsafe_mul(max(a, b), c)"],
        ),
        (
            "arithmetic",
            "M: constant(uint256) = 2**8 - 1",
            ["M: constant(uint256) = 2**8 + 1", "M: constant(uint256) = 2*8 - 1"],
        ),
        ("rounding", "x = a * b // c", ["x = (((a * b) + (c) - 1) // (c))"]),
        ("rounding", "x = units._div_up(a, b)", ["x = ((a) // (b))"]),
        ("rounding", "x = math._mul_div(a, b, c, True)", ["x = math._mul_div(a, b, c, False)"]),
        ("off by one", "x = a[0] + 10", ["x = a[1] + 10", "x = a[0] + 11", "x = a[0] + 9"]),
        ("dropped assert", 'assert a, "m: no"', ["pass"]),
        ("dropped write", "self.x[a] = b", ["pass"]),
        ("dropped write", "x: uint256 = b", []),
        ("dropped call", "log Moved(a=b + c)", ["pass"]),
        ("dropped call", "extcall B(a).pay(c)", ["pass"]),
        ("swapped operands", "x = a - b", ["x = (b) - (a)"]),
        ("swapped operands", "x = max(a, b)", []),
        ("swapped operands", "x = math._mul_div(a, b, c)", ["x = math._mul_div(a, c, b)"]),
        ("swapped operands", "x = R(a=b, c=d)", ["x = R(a=d, c=b)"]),
        ("swapped order", "self.x[a] = b\nc = self.x[d]", ["c = self.x[d]\nself.x[a] = b"]),
        ("swapped order", "self.x = b\nextcall B(a).pay(c)", ["extcall B(a).pay(c)\nself.x = b"]),
        ("swapped order", "self.x = b\nself.y = c", []),
        ("swapped order", 'assert a, "m: a"\nassert b, "m: b"', []),
    ],
)
def test_makes_these_faults(operator, text, expected):
    assert sorted(mutants(operator, text)) == sorted(expected)


@pytest.mark.parametrize(
    "text",
    [
        "x: DynArray[uint256, 5] = y",
        "for i: uint256 in range(n, bound=5):\n    pass",
        "extcall B(a).pay(skip_contract_check=True)",
    ],
)
def test_types_and_hints_to_the_compiler_stay(text):
    assert not mutants("off by one", text) + mutants("rounding", text)


@pytest.mark.parametrize("word", ["log Moved(a=", "x = extcall B(", "x = staticcall B("])
def test_finds_the_operator_behind_a_keyword_that_vyper_rewrites(word):
    """Vyper parses stand-ins of other lengths, which moves all that follows."""
    assert mutants("arithmetic", f"{word}block.timestamp + wait)") == [f"{word}block.timestamp - wait)"]

"""Whether the answer of a call can come from the tool; tests with calls that run are in test_sandbox."""

import time

import pytest

from rest_react.tasks.tool_maker.sandbox.dependence import depends_on


@pytest.mark.parametrize(
    ("call", "depends"),
    [
        ("def g():\n    return h()\ndef h():\n    return f(1)\nanswer = g()", True),
        ("for i in range(3):\n    answer = b\n    b = c\n    c = f(i)", True),
        ("answer = b\nb = c\nc = f(1)\nanswer = 'B'", False),
        ("x = f(1)\nx: int\nanswer = x", True),
        ("x = f(1)\nx: int = 3\nanswer = x", False),
        ("x = 'B'\nwhile n:\n    n = f(n)\n    answer = x", True),
        ("with f(1) as x:\n    answer = x", True),
        ("if f(1):\n    pass\nelse:\n    y = 3\nanswer = 'B'", False),
        ("for i in [1]:\n    (a := b)\n    (b := f(i))\nanswer = a", True),
        ("for i in [1]:\n    def g():\n        global x\n        x = f(1)\n    g()\nanswer = x", True),
        ("for i in [1]:\n    y = f(i)\n    answer = 'B'", False),
    ],
)
def test_values_of_the_tool_are_followed_to_the_answer(call: str, depends: bool) -> None:
    assert depends_on(call, "f") == depends


@pytest.mark.parametrize(
    "lines",
    [
        ["if 1:", *(f" a{i} = a{i + 1}" for i in range(1400)), " a1400 = f(1)", " answer = a0"],
        ["if 1:", *(f" a{i}.sort(a{i + 1})" for i in range(900)), " a900 = f(1)", " answer = a0"],
        [f"if 1: a{i} = f(1)" for i in range(1200)] + ["answer = a0"],
        ["if 1: " + "; ".join(f"a{i}=a{i + 1}" for i in range(1400)), "a1400 = f(1)", "answer = a1400"],
        ["if 1:", f" g({', '.join(f'a{i}' for i in range(2500))}, f)", " answer = a0"],
        [*(f"{' ' * i}while 1:" for i in range(90)), " " * 90 + "; ".join(["a"] * 5000), "answer = f(1)"],
    ],
    ids=["assignments", "calls", "blocks", "one line", "one call", "deep"],
)
def test_the_longest_call_is_followed_in_seconds(lines: list[str]) -> None:
    """The event loop, and with it every other trajectory, waits meanwhile."""
    call = "\n".join(lines)
    assert 10_000 < len(call) < 25_000
    started = time.process_time()
    assert depends_on(call, "f")
    assert time.process_time() - started < 10  # round after round takes minutes

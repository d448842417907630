"""Replies that no judge should send: random words of the prompts, and long repetitions of one piece."""

from hypothesis import strategies as st

WORD_SALAD = st.lists(
    st.sampled_from(
        "BEST RANKING GOOD : = > , 1 2 3 #3 yes no True False correct incorrect not answer is Output best <think> "
        '</think> { } [ ] " ` ** ( ) \n - 1. return Verdict implies REF'.split(" ")
    ),
    max_size=30,
).map(" ".join)

REASONING = st.text(st.characters(exclude_characters="<>[◁"))
AFTER_REASONING = WORD_SALAD.filter(lambda text: "<" not in text)

REPETITIONS = [
    (unit * 20_000)[:20_000]
    for unit in (
        "BEST ",
        "BEST: ",
        "RANKING\n",
        "1. Output 2\n",
        "3, ",
        "#",
        "{",
        '{"',
        "=",
        "= ",
        " ",
        "\n",
        "answer is ",
        "yes ",
        "the best output is ",
        "*",
        "return ",
        "<think>",
        "</think>",
        '"',
        "(",
        "verdict ",
        "- 1 ",
    )
]

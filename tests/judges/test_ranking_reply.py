import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.ranking_reply import read_ranking
from tests.judges.odd_replies import AFTER_REASONING, REASONING, REPETITIONS, WORD_SALAD


@pytest.mark.parametrize(
    ("reply", "order"),
    [
        ('{"explanation": "2 is vague.", "best": 3, "ranking": [3, 1, 2]}', (2, 0, 1)),
        ('```json\n{\n  "BEST": "Output 3",\n  "RANKING": ["Output 3", "Output 1", "Output 2"]\n}\n```', (2, 0, 1)),
        ('Here is my ranking:\n{"ranking": "3 > 1 > 2"}', (2, 0, 1)),
        ('{"ranking": [{"output": 1, "rank": 2}, {"output": 3, "rank": 1}, {"output": 2, "rank": 3}]}', (2, 0, 1)),
        ("{'best': 3, 'ranking': [3, 1, 2,]}", (2, 0, 1)),
        ("1. Output 3\n2. Output 1\n3. Output 2", (2, 0, 1)),
        ("1. **Output #3**: complete and grounded.\n2. **Output #1**: repeats 2.\n3. **Output #2**: vague.", (2, 0, 1)),
        ("EXPLANATION: 3 cites.\nBEST: 3\nRANKING:\n1. Output 3\n2. Output 1\n3. Output 2", (2, 0, 1)),
        ("RANKING:\n1) 3\n2) 1\n3) 2", (2, 0, 1)),
        ("**Ranking:**\n\n1st: Model Output #3\n2nd: Model Output #1\n3rd: Model Output #2", (2, 0, 1)),
        ("RANKING:\n- Output 3 (cites its link)\n- Output 1\n- Output 2", (2, 0, 1)),
        ("### Ranking\n3, 1, 2", (2, 0, 1)),
        ("Ranking: 3 > 1 > 2", (2, 0, 1)),
        ("FINAL RANKING: Output 3 > Output 1 > Output 2", (2, 0, 1)),
        ("RANKING: [3, 1, 2]", (2, 0, 1)),
        ("RANKING: 3 (9/10), 1 (3/10), 2 (1/10)", (2, 0, 1)),
        ("3 > 1 > 2", (2, 0, 1)),
        ("#3, #1, #2", (2, 0, 1)),
        ("The third alone cites its link.\n\n[3, 1, 2]", (2, 0, 1)),
        ("#3, #1", (2, 0, 1)),
        ("The best output is #3, since it cites its link.", (2, 0, 1)),
        ("Output 3 is clearly the best.", (2, 0, 1)),
        ("3", (2, 0, 1)),
        ("BEST: 1 or 2\nRANKING: 3, 1, 2", (2, 0, 1)),
        ("<think>\nBEST: 1\nRANKING: 1, 2, 3\n</think>\n\nBEST: 3\nRANKING: 3, 1, 2", (2, 0, 1)),
        ("Hm, output 1 is the best.\n</think>\nBEST: 3\nRANKING: 3, 1, 2", (2, 0, 1)),
        ("RANKING:\n1. Output 3 - best.\n   It cites its link.\n\n2. Output 1\n3. Output 2", (2, 0, 1)),
        ("EXPLANATION: 3 cites its link. BEST: 3. RANKING: 3, 1, 2", (2, 0, 1)),
        ("I would rank them as follows: 3, 1, 2", (2, 0, 1)),
        ("The ranking is 3 > 1 > 2.", (2, 0, 1)),
        ("<answer>3 > 1 > 2</answer>", (2, 0, 1)),
        ("The best is \\boxed{3}", ()),
        ("\\boxed{3}", (2, 0, 1)),
        # An ambiguous reply is not parsed.
        ("EXPLANATION: BEST: 1 would be wrong", ()),
        ("RANKING: third, first, second", ()),
        ("RANKING:\n1. Output 3\nThe others are equal.", ()),
        ("BEST: 1 or 2", ()),
        ("BEST: 1/2", ()),
        ("The best output is 1. On reflection the best output is 2.", ()),
        ("1. Output 1 is vague.\n2. Output 2 cites its link.\n3. Output 3 repeats a query.", ()),
        ("RANKING:\n1. The one that cites its link\n2. The one that repeats a query\n3. The last one", ()),
        ("RANKING:\n3. Output 1\n1. Output 2\n2. Output 3", ()),
        ("1. Output 3 fails.\n2. Output 2 fails too.", ()),
        ('{"ranking": ["first", "second"]}', ()),
        ("All three are equally good.", ()),
        ("Output 2 is not the best.", ()),
        ("<think>BEST: 1\nRANKING: 1, 2, 3", ()),
        ("<thinking>\nBEST: 1", ()),
        ("BEST: 5\nRANKING: 5, 1, 2", ()),
        ("RANKING: 3, 1, 4", ()),
        ("RANKING: 1st: 3, 2nd: 1, 3rd: 2", ()),
        ("RANKING: 3 < 1 < 2", ()),
        ("RANKING (worst to best): 2, 3, 1", ()),
        ("Best of 3 outputs is 2", ()),
        ("BEST: 3\nRANKING: 1st: 3, 2nd: 2, 3rd: 1", (2, 0, 1)),  # BEST alone counts
        ("RANKING: 3, 2, 1<|im_end|>", (2, 1, 0)),
        ("RANKING: 3, 1, 2</s>", (2, 0, 1)),
        ("<ranking>3, 2, 1</ranking>", (2, 1, 0)),
        ("RANKING: 3, 2, 1. Output 1 misses the 19th century.", (2, 1, 0)),
        ("Ranking from worst to best:\n2, 3, 1", ()),
        ("EXPLANATION: Output 2 is the worst. First, it cites nothing.\nBEST: 3\nRANKING: 3, 1, 2", (2, 0, 1)),
        ("EXPLANATION: Comparing worst to best, 2 has no link.\nBEST: 3\nRANKING: 3, 1, 2", (2, 0, 1)),
        ("BEST: 3\nRANKING: 3 - 9/10, 1 - 7/10, 2 - 5/10", (2, 0, 1)),
        ("RANKING: 1. Output 3, 2. Output 1, 3. Output 2", (2, 0, 1)),
        ("BEST: 3\nRANKING: 1. Output 3, 2. Output 2, 3. Output 1", (2, 1, 0)),
        ("RANKING: 3, 1, 2 (1. Output 1 is vague, 2. Output 2 is false)", (2, 0, 1)),
        ("Ranking: 3 > 2 > 1. Reasons: 1) Output 1 cites nothing; 2) Output 2 is short.", (2, 1, 0)),
        ("BEST: 2\nRANKING (worst to best): 1, 3, 2", ()),
        ("RANKING: 3, 1, 2. Output 3 names all 12 mills.", (2, 0, 1)),
        ('{"best": 0, "ranking": [0, 2, 1]}', ()),
        ('e.g. {"best": 1} would be wrong. {"best": 3, "explanation": "it "cites" its link"}', ()),
    ],
)
def test_a_ranking_is_parsed_in_every_usual_form_and_never_guessed(reply: str, order: tuple[int, ...]) -> None:
    assert read_ranking(reply, 3) == order


@given(st.text() | WORD_SALAD, st.integers(1, 5))
def test_no_reply_raises_and_a_ranking_names_every_output_once(reply: str, count: int) -> None:
    ranking = read_ranking(reply, count)
    assert ranking == () or sorted(ranking) == list(range(count))


@given(REASONING, AFTER_REASONING)
def test_text_inside_reasoning_tags_does_not_count(reasoning: str, rest: str) -> None:
    reply = f"<think>{reasoning} BEST: 1\nGOOD: yes\nVERDICT = True</think>\n{rest}"
    assert read_ranking(reply, 3) == read_ranking(rest, 3)


@pytest.mark.parametrize("reply", REPETITIONS, ids=lambda reply: repr(reply[:9]))
def test_a_long_repetitive_reply_is_parsed_within_two_seconds(reply: str) -> None:
    start = time.process_time()
    read_ranking(reply, 4)
    assert time.process_time() - start < 2.0


@pytest.mark.parametrize("line", ["a\n", "\n#"])
def test_the_lines_of_a_very_long_reply_are_matched_once(line: str) -> None:
    start = time.process_time()
    read_ranking(line * 500_000, 4)
    assert time.process_time() - start < 3.0  # fifty times takes twice as long


@pytest.mark.parametrize("best", ["All 4 outputs are the same", "None of the 4", "tie between 1 and 2", "any of the 4"])
def test_a_count_is_not_the_best_output(best: str) -> None:
    assert read_ranking(f"BEST: {best}\nRANKING: 2, 1, 3, 4", 4) == (1, 0, 2, 3)

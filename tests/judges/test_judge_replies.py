"""How judges' replies are read: the form asked for, what chat models write instead, and nothing that is open."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.judge_replies import read_good, read_judgement, read_ranking


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
        # What can be taken in two ways is not read.
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
    ],
)
def test_a_ranking_is_read_as_chat_models_write_it_or_not_at_all(reply: str, order: tuple[int, ...]) -> None:
    assert read_ranking(reply, 3) == order


@pytest.mark.parametrize(
    ("reply", "good"),
    [
        ("GOOD: yes", True),
        ("**GOOD:** no", False),
        ("GOOD: True", True),
        ("Yes", True),
        ("no.", False),
        ("**Yes**", True),
        ("Yes, every element is filled in.", True),
        ("No: link 2 says something else.", False),
        ("Yes. No element is empty.", True),
        ("The summary cites its link.\n\nYes", True),
        ('{"good": "yes"}', True),
        ('```json\n{"GOOD": false}\n```', False),
        ("The output is good.", True),
        ("This output is not good enough.", False),
        ("<think>GOOD: yes? It cites nothing.</think>\nGOOD: no", False),
        ("<think>Yes", None),
        ("Yes and no.", None),
        ("No problem with the query, so yes.", None),
        ("No. Or rather yes.", None),
        ("Yes, but it cites nothing, so no.", None),
        ("Yes\nNo", None),
        ("I cannot tell.", None),
        ("", None),
    ],
)
def test_a_yes_or_no_is_read_as_chat_models_write_it_or_not_at_all(reply: str, good: bool | None) -> None:
    assert read_good(reply) is good


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("return True", "correct"),
        ("```python\n# Both name Lyon.\nreturn False\n```", "incorrect"),
        ("def Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER):\n    return True", "correct"),
        ("The answer is correct.", "correct"),
        ("The answer is **correct**, since both name Lyon.", "correct"),
        ("The answer is not correct.", "incorrect"),
        ("The answer isn't correct: it names Paris.", "incorrect"),
        ("The ANSWER is incorrect because the correct answer is Lyon.", "incorrect"),
        ("The given answer is wrong.", "incorrect"),
        ("ANSWER implies REF_ANSWER.", "correct"),
        ("The ANSWER does not imply the REF_ANSWER.", "incorrect"),
        ("Correct", "correct"),
        ("**Incorrect**", "incorrect"),
        ("INCORRECT.\n\nIt names Paris.", "incorrect"),
        ("Both name Lyon.\n\nTrue", "correct"),
        ("Verdict: True", "correct"),
        ("**Final verdict:** Incorrect", "incorrect"),
        ("### Verdict: True", "correct"),
        ("The verdict is False.", "incorrect"),
        ("Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER) -> True", "correct"),
        ("Check_Answer(...) returns `False`", "incorrect"),
        ("Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER): True", "correct"),
        ('{"reason": "Both name Lyon.", "correct": true}', "correct"),
        ('```json\n{"verdict": "incorrect"}\n```', "incorrect"),
        ("Therefore, True.", "correct"),
        (
            "<think>\nIf they agree then CORRECT = True, otherwise CORRECT = False.\n</think>\n# Both.\nVERDICT = True",
            "correct",
        ),
        ("[THINK]CORRECT = True?[/THINK]False", "incorrect"),
        ("<|channel|>analysis<|message|>Maybe True.<|end|><|channel|>final<|message|>VERDICT = False", "incorrect"),
        ('ANSWER = "The answer is correct."\nThe answer is incorrect.', "incorrect"),
        ('It says "the answer is correct", which is no proof. The answer is wrong.', "incorrect"),
        ("The answer should be considered incorrect.", "incorrect"),
        ("Both name Lyon, so it is correct.", "correct"),
        ("This is incorrect.", "incorrect"),
        ("<verdict>True</verdict>", "correct"),
        ("So the verdict: True.", "correct"),
        ("correct: yes", "correct"),
        ("Assessment: incorrect", "incorrect"),
        # What can be taken in two ways is unscored.
        ("It is correct that Lyon lies in France.", "unscored"),
        ("The answer is correct, but only in part.", "unscored"),
        ("ANSWER: True", "unscored"),  # may as well be the field repeated
        ("<think>VERDICT = True", "unscored"),
        ("The answer is partially correct.", "unscored"),
        ("The answer is not entirely correct.", "unscored"),
        ("The answer is not incorrect.", "unscored"),
        ("The answer would be correct if it named Lyon.", "unscored"),
        ("Is the answer correct? Yes or no.", "unscored"),
        ("The answer is correct in its first half. The answer is incorrect in its second.", "unscored"),
        ("The reference answer is correct by definition.", "unscored"),
        ("If they agree return True, else return False", "unscored"),
        ("The correct answer is Lyon.", "unscored"),
        ("Yes.", "unscored"),  # may as well repeat the answer to a yes/no question
        ('"The answer is correct."', "unscored"),
        ("True or False?", "unscored"),
    ],
)
def test_a_judgement_is_read_as_chat_models_write_it_or_unscored(reply: str, verdict: str) -> None:
    assert read_judgement(reply).verdict == verdict


def test_a_judgement_in_prose_is_its_own_reason() -> None:
    assert read_judgement("The answer is not correct:\nit names Paris.").reason == (
        "The answer is not correct: it names Paris."
    )


WORDS = st.lists(
    st.sampled_from(
        "BEST RANKING GOOD : = > , 1 2 3 #3 yes no True False correct incorrect not answer is Output best <think> "
        '</think> { } [ ] " ` ** ( ) \n - 1. return Verdict implies REF'.split(" ")
    ),
    max_size=30,
).map(" ".join)


@given(st.text() | WORDS, st.integers(1, 5))
def test_no_reply_makes_it_raise_and_a_ranking_names_every_place_once(reply: str, count: int) -> None:
    order = read_ranking(reply, count)
    assert order == () or sorted(order) == list(range(count))
    assert read_good(reply) in (True, False, None)
    assert read_judgement(reply).verdict in ("correct", "incorrect", "unscored")


@given(st.text(st.characters(exclude_characters="<>[◁")), WORDS.filter(lambda text: "<" not in text))
def test_what_is_thought_changes_no_verdict(thought: str, said: str) -> None:
    reply = f"<think>{thought} BEST: 1\nGOOD: yes\nVERDICT = True</think>\n{said}"
    assert read_ranking(reply, 3) == read_ranking(said, 3)
    assert read_good(reply) == read_good(said)
    assert read_judgement(reply) == read_judgement(said) or read_judgement(reply).verdict == "unscored"


@pytest.mark.parametrize(
    "unit",
    ["BEST ", "BEST: ", "RANKING\n", "1. Output 2\n", "3, ", "#", "{", '{"', "=", "= ", " ", "\n", "answer is ", "yes ",
     "the best output is ", "*", "return ", "<think>", "</think>", '"', "(", "verdict ", "- 1 "],
)  # fmt: skip
def test_the_longest_repetitive_reply_takes_no_time(unit: str) -> None:
    reply = (unit * 20_000)[:20_000]
    start = time.process_time()
    read_ranking(reply, 4)
    read_good(reply)
    read_judgement(reply)
    assert time.process_time() - start < 2.0

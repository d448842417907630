import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rest_react.judges.verdict_reply import read_judgement
from tests.judges.odd_replies import AFTER_REASONING, REASONING, REPETITIONS, WORD_SALAD


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
        ("Incorrect. The answer names Paris.", "incorrect"),
        ("True. Both name Lyon.", "correct"),
        ("Incorrect. The correct answer is Lyon, not Paris.", "incorrect"),
        ("**False!** It names Paris.", "incorrect"),
        ("Correct, because both name Lyon.", "correct"),
        ("Correct. The answer is correct.", "correct"),
        ("Verdict: True", "correct"),
        ("**Final verdict:** Incorrect", "incorrect"),
        ("### Verdict: True", "correct"),
        ("The verdict is False.", "incorrect"),
        ("Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER) -> True", "correct"),
        ("Check_Answer(...) returns `False`", "incorrect"),
        ("Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER): True", "correct"),
        ('{"reason": "Both name Lyon.", "correct": true}', "correct"),
        ('```json\n{"verdict": "incorrect"}\n```', "incorrect"),
        ("The answer is correct. Nothing is missing.", "correct"),
        ("The answer is correct: it actually names Lyon.", "correct"),
        ("The answer is correct about the city. However, it is wrong about the year.", "unscored"),
        ('Draft: {"correct": true}\nThe year differs.\n{"correct": false, "why": "it says "1950"."}', "unscored"),
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
        # An ambiguous reply is unscored.
        ("Correct. But it could be Paris.", "unscored"),
        ("Correct as to the city, incorrect as to the year.", "unscored"),
        ("Correct. The given answer does not match the reference.", "unscored"),
        ("Correct. However, the year is missing.", "unscored"),
        ("Correct! Actually no: the answer names Paris, REF says Lyon. So False.", "unscored"),
        ("True. False.", "unscored"),
        ("False. Wait, the dates agree. True.", "unscored"),
        ("Incorrect because the name differs? No, both are Lyon. So it matches.", "unscored"),
        ("True. The answer is incorrect.", "unscored"),
        ("Correct: Lyon.", "unscored"),
        ("Correct, in part.", "unscored"),
        ("Incorrect. Although it names Lyon.", "unscored"),
        ("It is correct that Lyon lies in France.", "unscored"),
        ("The answer is correct, but only in part.", "unscored"),
        ("ANSWER: True", "unscored"),  # may repeat the field of the prompt
        ("<think>VERDICT = True", "unscored"),
        ("The answer is partially correct.", "unscored"),
        ("The answer is not entirely correct.", "unscored"),
        ("The answer is not incorrect.", "unscored"),
        ("I do not think the answer is correct.", "unscored"),
        ("I don't believe the answer is incorrect.", "unscored"),
        ("It is false that the answer is correct.", "unscored"),
        ("It is not the case that the answer is correct.", "unscored"),
        ("Neither name matches, so I can't say the answer is correct.", "unscored"),
        ("Nothing suggests that the answer is correct.", "unscored"),
        ("The names do not differ, so the answer is correct.", "correct"),
        ("The answer does not name Lyon and the answer is incorrect.", "incorrect"),
        ("The answer would be correct if it named Lyon.", "unscored"),
        ("Is the answer correct? Yes or no.", "unscored"),
        ("The answer is correct in its first half. The answer is incorrect in its second.", "unscored"),
        ("The reference answer is correct by definition.", "unscored"),
        ("If they agree return True, else return False", "unscored"),
        ("The correct answer is Lyon.", "unscored"),
        ("Yes.", "unscored"),  # may repeat the answer to a yes/no question
        ('"The answer is correct."', "unscored"),
        ("True or False?", "unscored"),
        ('The answer says "Check_Answer(...) = True", but it names Lyon, so the answer is incorrect.', "incorrect"),
        ("The ANSWER field contains the text `= True`. The answer is incorrect.", "incorrect"),
        ("`Check_Answer(ORIGINAL_QUESTION, ANSWER, REF_ANSWER) = True`", "correct"),
        ('Check_Answer(...) = "False"', "incorrect"),
        ("`Check_Answer(...) = True`.", "correct"),
        ("**Verdict**: `Check_Answer(...) = True`", "correct"),
        ("The verdict is `Check_Answer(...) = True`.", "correct"),
        ("Both answers agree. `Check_Answer(...) = True`", "correct"),
        ("Verdict: `Check_Answer(...) = True`", "correct"),
        ("**`Check_Answer(...) = True`**", "correct"),
        ("- `Check_Answer(...) = False`", "incorrect"),
        ("So `Check_Answer(...) = False`.", "incorrect"),
        ("`Check_Answer(...) = True` because both name Lyon.", "correct"),
        ("Both name Lyon, so `return True`.", "correct"),
        ("Output: ```Check_Answer(...) = True```", "correct"),
        ("Check_Answer(...) = True or False", "unscored"),
        ("Check_Answer(...) = True/False", "unscored"),
        ("Check_Answer(...) = True if ANSWER == REF_ANSWER else False", "unscored"),
        ("return True if REF_ANSWER in ANSWER else False", "unscored"),
        ("return True if ANSWER implies REF_ANSWER, otherwise return False.", "unscored"),
        ("Check_Answer should return True if both name Lyon and return False otherwise. Both name Lyon.", "unscored"),
        ("If ANSWER names Lyon return True or else return False", "unscored"),
        ("Check_Answer(...) = False if the year differs, Check_Answer(...) = True otherwise", "unscored"),
        ("Check_Answer(...) = True\nIf the answer had named Paris it would be wrong.", "correct"),
        ("Check_Answer(...) = False\nOr so I think.", "incorrect"),
        ("Check_Answer(...) = True // both name Lyon", "correct"),
        ("| Check_Answer(...) = True |", "correct"),
        ("I set Check_Answer(...) = True or False.\nCheck_Answer(...) = False", "incorrect"),
        ('A 5" pipe. Check_Answer(...) = True. It is 6" wide.', "correct"),
    ],
)
def test_a_verdict_is_parsed_in_every_usual_form_and_never_guessed(reply: str, verdict: str) -> None:
    assert read_judgement(reply).verdict == verdict


def test_a_verdict_in_prose_is_its_own_reason() -> None:
    assert read_judgement("The answer is not correct:\nit names Paris.").reason == (
        "The answer is not correct: it names Paris."
    )


@given(st.text() | WORD_SALAD)
def test_no_reply_raises(reply: str) -> None:
    assert read_judgement(reply).verdict in ("correct", "incorrect", "unscored")


@given(REASONING, AFTER_REASONING)
def test_text_inside_reasoning_tags_does_not_count(reasoning: str, rest: str) -> None:
    reply = f"<think>{reasoning} BEST: 1\nGOOD: yes\nVERDICT = True</think>\n{rest}"
    assert read_judgement(reply) == read_judgement(rest) or read_judgement(reply).verdict == "unscored"


@pytest.mark.parametrize("reply", REPETITIONS, ids=lambda reply: repr(reply[:9]))
def test_a_long_repetitive_reply_is_parsed_within_two_seconds(reply: str) -> None:
    start = time.process_time()
    read_judgement(reply)
    assert time.process_time() - start < 2.0

"""Grades an answer by rules: no model, no dictionary, no network.

    >>> birthplace = LabelledQuestion(Question("w1", "Where was Ada Mell born?"), ("Paris",))
    >>> rule_verdict(birthplace, "According to [link_id=3], she was born in Paris.").verdict
    'correct'
    >>> rule_verdict(birthplace, "She was born in Lyon, not Paris.").reason
    'the gold answer is denied or left open'

The rules look for the gold answer at word boundaries, in a canonical text with one form for each number, date and unit.
To mention the gold answer is not enough: the answer must assert it. When in doubt, the rules call a right answer wrong
rather than a wrong answer right; docs/metrics.md lists the cases that they cannot see.
Not here: the canonical form (canonical_text), mentions (gold_mentions), denials and hedges (assertion), lists
(listed_answers), yes/no questions (yes_no_questions), questions that offer choices (choice_questions), LLM judges
(judges.grader), and rules on steps that need no labels (tasks.search_qa.judging.verifier).
"""

import re

from rest_react.judges.answer_matching.assertion import HEARSAY_REASON, is_hearsay, why_not_asserted
from rest_react.judges.answer_matching.canonical_text import cased_words, lower_case
from rest_react.judges.answer_matching.choice_questions import choice_verdict, options_in_question
from rest_react.judges.answer_matching.gold_mentions import canonical_words, find_mentions
from rest_react.judges.answer_matching.listed_answers import mark_lines
from rest_react.judges.answer_matching.yes_no_questions import asks_yes_or_no, yes_no_verdict
from rest_react.metrics.text_match import strip_citations
from rest_react.records import LabelledQuestion, Verdict


def rule_verdict(question: LabelledQuestion, answer: str) -> Verdict:
    """Grades `answer` against the question's gold answers.

    `correct`, `incorrect`, or `unscored` where the question has no gold answer or the gold answers contradict each
    other. Pure; never raises; linear in the answer's length.
    """
    text = cased_words(strip_citations(mark_lines(answer)))
    if not text:
        return Verdict("incorrect", "the answer is empty")
    golds = [gold for gold in map(canonical_words, question.answers) if gold]
    if not golds:
        return Verdict("unscored", "the question has no gold answer")
    if asks_yes_or_no(question.question.text, golds):
        return yes_no_verdict(text, golds)
    options = [canonical_words(option) for option in question.options]
    options = options or options_in_question(question.question.text, golds)
    rivals = [option for option in options if option and option not in golds]
    if rivals and len(rivals) < len(options):
        return choice_verdict(question, text, golds, rivals)
    return _mention_verdict(question, text)


def _mention_verdict(question: LabelledQuestion, text: str) -> Verdict:
    """An open question: the last mention of a gold answer must be asserted.

    Mentions inside a concession ("although some say Paris") do not count.
    """
    mentions = find_mentions(text, question.answers, question.question.text)
    if not mentions:
        return Verdict("incorrect", "the gold answer is not mentioned")
    lowered = lower_case(text)
    last = next((mention for mention in reversed(mentions) if not is_hearsay(lowered, mention[0])), None)
    if last is None:
        return Verdict("incorrect", HEARSAY_REASON)
    # "Mumbai or Bombay" is one answer where both are gold.
    start, end = last
    for first, until in reversed(mentions):
        if until < start and re.fullmatch(r" (?:[,(] )?(?:or|and|/) ", lowered[until:start]):
            start = first
    reason = why_not_asserted(text, start, end, question.question.text, question.answers)
    if reason:
        return Verdict("incorrect", reason)
    return Verdict("correct", f"mentions {lowered[last[0] : end]!r}")

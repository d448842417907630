"""Reads question sets and passages from files and from the Hub, and checks every row.

    questions = read_questions(Path("questions.jsonl"))
    passages = read_corpus(Path("corpus.tsv"))
    benchmark = sample(read_hub("hotpotqa/hotpot_qa", "fullwiki", "validation", revision), 500, seed=0)

`file_formats` reads rows, `row_values` reads one row's values, `list_literals` parses lists written as text;
`labelled_questions`, `chains`, `item_files` and `corpus` make records, `hub` loads data sets; `sampling` and `overlaps`
work on records.
docs/data_formats.md has the table of formats.
Not here: hiding labels from Grow, which the caller does with `unlabelled`; the built-in world (tasks.search_qa.world).
"""

from typing import TypeAlias

from rest_react.questions.corpus import read_corpus
from rest_react.questions.hub import HubQuestions, read_hub
from rest_react.questions.item_files import ItemQuestions, read_items
from rest_react.questions.labelled_questions import FileQuestions, read_questions
from rest_react.questions.overlaps.overlap import overlap, refuse_overlap, refuse_overlap_of_demonstrations
from rest_react.questions.sampling import sample, unlabelled

__all__ = [
    "QuestionSource",
    "overlap",
    "read_corpus",
    "read_hub",
    "read_items",
    "read_questions",
    "refuse_overlap",
    "refuse_overlap_of_demonstrations",
    "sample",
    "unlabelled",
]
QuestionSource: TypeAlias = FileQuestions | HubQuestions | ItemQuestions

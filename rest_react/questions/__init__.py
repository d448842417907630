"""Question sets and passages from files and from the Hub: rows in, checked records out.

    questions = read_questions(Path("questions.jsonl"))
    passages = read_corpus(Path("corpus.tsv"))
    benchmark = sample(read_hub("hotpotqa/hotpot_qa", "fullwiki", "validation", revision), 500, seed=0)

`file_formats` reads rows, `row_values` reads one row's values, `list_literals` parses lists written as text;
`labelled_questions` and `corpus` make records, `hub` loads data sets, `sampling` and `overlap` work on records.
docs/data_formats.md has the table of formats.
Not here: hiding labels from Grow is the caller's last step (`unlabelled`); the built-in world (`world`).
"""

from rest_react.questions.corpus import read_corpus
from rest_react.questions.hub import read_hub
from rest_react.questions.labelled_questions import read_questions
from rest_react.questions.overlap import overlap
from rest_react.questions.sampling import sample, unlabelled

__all__ = ["overlap", "read_corpus", "read_hub", "read_questions", "sample", "unlabelled"]

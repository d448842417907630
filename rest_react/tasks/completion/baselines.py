"""Baselines of a labelled task, each an `LLM` that answers from the training part, the rows that a policy is tuned on.

    tfidf(rows).predict("The fee was charged twice.")     # "Credit card": TF-IDF and logistic regression (scikit-learn)
    majority(rows).predict("...")                         # the most frequent label; of several the first by alphabet

They are asked as any policy is, so their answers have trajectories, results, intervals and pages like a model's.
TF-IDF: words, or runs of 2 and 3 characters where texts have no spaces (Japanese, Chinese, Thai); sublinear counts;
logistic regression with C = 10. The figures were chosen once, on complaints and news, and are the same for all data.
Not here: the untuned model with and without examples, which are the policy itself (build).
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from rest_react.errors import UsageError
from rest_react.prompts import STOP
from rest_react.protocols import LLM
from rest_react.records import Completion, LabelledQuestion, Prompt, Sampling
from rest_react.tasks.completion.task import text_in
from rest_react.text_safety.escaping import escape_control_tokens

_SPACED = 0.05  # the least share of spaces in texts of words


@dataclass(frozen=True, slots=True)
class LabelModel(LLM):
    """An `LLM` that answers with the label that `predict` gives to the text."""

    predict: Callable[[str], str]

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """The label, n times; the seed has no effect."""
        return [Completion(f"{self.predict(text_in(prompt.state))}  {STOP}", 0, None, "stop", 0)] * n


def majority(rows: Sequence[LabelledQuestion]) -> LabelModel:
    """The most frequent label of the rows."""
    counts = Counter(row.answers[0] for row in rows)
    label = min(counts, key=lambda label: (-counts[label], label))
    return LabelModel(lambda text: label)


def tfidf(rows: Sequence[LabelledQuestion]) -> LabelModel:
    """TF-IDF and logistic regression, fitted on the rows. Raises UsageError where they cannot be fitted: all rows have
    one label, or no text has a word."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts = [escape_control_tokens(row.question.text) for row in rows]
    spaced = sum(text.count(" ") for text in texts) >= _SPACED * sum(map(len, texts))
    words: dict[str, Any] = (
        {"sublinear_tf": True} if spaced else {"analyzer": "char", "ngram_range": (2, 3), "sublinear_tf": True}
    )
    model = make_pipeline(TfidfVectorizer(**words), LogisticRegression(C=10.0, max_iter=1000))
    try:
        model.fit(texts, [row.answers[0] for row in rows])
    except ValueError as error:
        raise UsageError(
            f"task.baselines: tfidf cannot be fitted on {len(rows)} rows ({error}); give rows that have words and more "
            "than one label (demonstrations.questions.n, draw=stratified), or remove tfidf"
        ) from error
    return LabelModel(lambda text: str(model.predict([text])[0]))

"""Scores of whole trajectories, without labels: one number per finished trajectory, higher is better; None: no score.

Without a model (`recorded_scores`):

    agreement                 the share of the question's other trajectories with the same answer
    cross-fitted agreement    the same among trajectories that used the other half of the documents
    reconstruction            the share of the question's content words in the selected passages
    support                   the share of the answer's words in one selected passage
    corroboration             1 if agreement, support and reconstruction all keep it
    passages selected         how many different ones (improve.min_passages)
    answer likelihood         the log-probability of the last answer's sample under the policy
    answer perplexity         minus its perplexity
    trajectory perplexity     minus the mean perplexity of the chosen samples
    samples agree             the mean share of a step's samples with the decision of the chosen one
    rules                     minus the number of rules that the answer violates (rules of the built-in world)
    checks pass               1 if the last check of each kind passed

With models (`read_scores`), per token:

    question given evidence   what the selected passages and the masked queries add to the question's log-probability
    question given answer     what the answer adds to it
    evidence removal          what the selected passages add to the log-probability of the answer (all three under the
                              untuned model)

Not here: the labels (labelled_run), and the figures (detection).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import groupby

from benchmarks.scores import Reader
from rest_react.records import Candidate, TrajectoryVerdict
from rest_react.selection.read_trajectory import Reading, answer_read, is_likelier, question_read
from rest_react.selection.trajectory_filters import TRAJECTORY_FILTERS, KeepTrajectories
from rest_react.selection.trajectory_signals.agreement import agreement
from rest_react.selection.trajectory_signals.corroboration import is_corroborated
from rest_react.selection.trajectory_signals.cross_fitting import cross_agreement
from rest_react.selection.trajectory_signals.likelihood import mean_perplexity
from rest_react.selection.trajectory_signals.reconstruction import reconstructions
from rest_react.selection.trajectory_signals.support import supports
from rest_react.tasks.search_qa.actions import CheckAnswer
from rest_react.tasks.search_qa.judging.evidence import evidence_of, passages_selected
from rest_react.tasks.search_qa.judging.verifier import violations_of
from rest_react.trajectories.parsed import Evidence, ParsedTrajectory

TrajectoryScores = list[float | None]


def recorded_scores(parsed: Sequence[ParsedTrajectory]) -> dict[str, TrajectoryScores]:
    """The scores that need no model. Trajectories of one question are neighbours."""
    found = {
        "agreement": _by_question(parsed, agreement),
        "cross-fitted agreement": _by_question(parsed, cross_agreement),
        "reconstruction": _by_question(parsed, reconstructions),
        "support": _by_question(parsed, supports),
        "corroboration": _by_question(parsed, lambda found: list(map(float, is_corroborated(found)))),
    }
    single: Mapping[str, Callable[[ParsedTrajectory], float | None]] = {
        "passages selected": lambda one: float(passages_selected(evidence_of(one))),
        "answer likelihood": answer_likelihood,
        "answer perplexity": answer_perplexity,
        "trajectory perplexity": trajectory_perplexity,
        "samples agree": samples_agree,
        "rules": lambda one: -float(len(violations_of(one).answer)),
        "checks pass": checks_pass,
    }
    return found | {name: [score(one) for one in parsed] for name, score in single.items()}


def read_scores(parsed: Sequence[ParsedTrajectory], untuned: Reader) -> dict[str, TrajectoryScores]:
    """The scores that a model must read the trajectories for."""
    found = [evidence_of(one) for one in parsed]
    return {
        "question given evidence": [added(question_read(one), untuned) for one in found],
        "question given answer": [question_given_answer(one, untuned) for one in found],
        "evidence removal": [added(answer_read(one), untuned) if one.answer else None for one in found],
    }


def read_verdicts(
    keep: KeepTrajectories, parsed: Sequence[ParsedTrajectory], reader: Reader
) -> Iterator[TrajectoryVerdict]:
    """The verdicts that Improve would record of these trajectories, from the same readings as the scores."""
    reads = TRAJECTORY_FILTERS[keep].reads
    assert reads is not None
    for one in parsed:
        found, good = evidence_of(one), False
        logprobs: tuple[float, ...] = ()
        reading = reads(found)
        if reading.text and found.selected:
            given, bare = logprobs = _both(reading, reader)
            good = is_likelier(given, bare)
        yield TrajectoryVerdict(one.trajectory.id, "judged", good, logprobs=logprobs)


def rank_sum(*members: TrajectoryScores) -> TrajectoryScores:
    """The sum of the ranks that the members give, each as a share of the trajectories that it scores; None where a
    member has no score. Equal scores share their rank."""
    return [
        None if any(score is None for score in scores) else sum(map(_rank, scores, members))
        for scores in zip(*members, strict=True)
    ]


def _rank(score: float | None, scores: TrajectoryScores) -> float:
    known = [other for other in scores if other is not None]
    below = sum(other < score for other in known if score is not None)
    return (below + sum(other == score for other in known) / 2) / len(known)


def answer_likelihood(one: ParsedTrajectory) -> float | None:
    """The log-probability of the sample that wrote the draft or, later, revised it."""
    answered = _last_answer(one)
    return None if answered is None else answered.logprob


def answer_perplexity(one: ParsedTrajectory) -> float | None:
    """Minus the perplexity of the same sample."""
    answered = _last_answer(one)
    perplexity = None if answered is None else answered.perplexity
    return None if perplexity is None else -perplexity


def trajectory_perplexity(one: ParsedTrajectory) -> float | None:
    """Minus the mean perplexity of the chosen samples (`improve.likeliest`)."""
    mean = mean_perplexity(one.trajectory)
    return None if mean is None else -mean


def samples_agree(one: ParsedTrajectory) -> float | None:
    """The mean share of samples with the decision of the chosen one, over steps with several samples."""
    shares = []
    for step in one.steps:
        decisions = [action.decision for action in step.actions if action.action is not None]
        if step.chosen is not None and len(step.actions) > 1:
            shares.append(decisions.count(step.chosen.decision) / len(step.actions))
    return sum(shares) / len(shares) if shares else None


def checks_pass(one: ParsedTrajectory) -> float | None:
    """1 if the last check of each kind passed, else 0; None without self-checks."""
    last = {step.step.kind: step.chosen for step in one.steps if step.step.kind in ("relevance", "grounding")}
    actions = [chosen.action for chosen in last.values() if chosen is not None]
    return float(all(isinstance(action, CheckAnswer) and action.passed for action in actions)) if actions else None


def added(reading: Reading, reader: Reader) -> float:
    """What the evidence adds to the log-probability of the text, per token (selection.read_trajectory)."""
    given, bare = _both(reading, reader)
    return (given - bare) / reader.count(reading.text)


def _both(reading: Reading, reader: Reader) -> tuple[float, float]:
    given, bare = (reader.beginning(prompt.text, reading.text) for prompt in reading.prompts)
    return given, bare


def question_given_answer(found: Evidence, reader: Reader) -> float:
    """What the answer adds to the question's log-probability, per token."""
    head = "A question about this:\n"
    return added(Reading(f"Answer: {found.answer}\n{head}", head, found.question), reader)


def _by_question(
    parsed: Sequence[ParsedTrajectory], signal: Callable[[Sequence[Evidence]], TrajectoryScores]
) -> TrajectoryScores:
    scores: TrajectoryScores = []
    for _, of_question in groupby(parsed, key=lambda one: one.trajectory.question_id):
        scores += signal([evidence_of(one) for one in of_question])
    return scores


def _last_answer(one: ParsedTrajectory) -> Candidate | None:
    answered = None
    for parsed in one.steps:
        passed = isinstance(parsed.chosen.action, CheckAnswer) if parsed.chosen else True
        if parsed.step.kind in ("answer", "relevance", "grounding") and not passed:
            answered = parsed.step.candidates[parsed.step.chosen or 0]
    return answered

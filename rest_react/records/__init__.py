"""The nouns of the system: questions, prompts, trajectories, rankings, examples, verdicts, results.

Every record is a frozen dataclass that is saved as one JSON object, field by field (storage.jsonl).
Ids are built from parts: the id of a trajectory is `<question_id>.<repeat>`, that of a step
`<trajectory_id>.<step_index>`.

Example: from `Question(id="w17", text="Who founded the town where Ada Mell was born?")` the agent makes
`Trajectory(id="w17.0", question_id="w17", outcome="finished", ...)`.

Not here: behaviour. Values computed from one record (a perplexity) are properties; everything else is a function in the
module that needs it. The interfaces of clients are in protocols, seeds in seeds.
"""

from rest_react.records.opinions import (
    JudgedOutcome,
    JudgedPair,
    JudgePairs,
    OptionRanking,
    Ranking,
    TrajectoryVerdict,
    WorseOutput,
)
from rest_react.records.prompts import Completion, OptionScores, Prompt, Sampling, chat_turns, example_rule
from rest_react.records.questions import Hit, Hop, LabelledQuestion, Lookup, Passage, Plan, Question
from rest_react.records.results import Result, Verdict
from rest_react.records.training import Example, ModelRef, Preference
from rest_react.records.trajectories import Candidate, Fault, Step, Trajectory, Usage

__all__ = [
    "Candidate",
    "Completion",
    "Example",
    "Fault",
    "Hit",
    "Hop",
    "JudgePairs",
    "JudgedOutcome",
    "JudgedPair",
    "LabelledQuestion",
    "Lookup",
    "ModelRef",
    "OptionRanking",
    "OptionScores",
    "Passage",
    "Plan",
    "Preference",
    "Prompt",
    "Question",
    "Ranking",
    "Result",
    "Sampling",
    "Step",
    "Trajectory",
    "TrajectoryVerdict",
    "Usage",
    "Verdict",
    "WorseOutput",
    "chat_turns",
    "example_rule",
]

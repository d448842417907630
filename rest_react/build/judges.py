"""Opens the judges of a run: the reward model, the grader, and the teacher of synthetic texts.

    judges = Judges(settings, folder, models, prompts)
    reward_model, grader = judges.reward_model(), judges.grader()

Not here: how they judge (selection, judges), and whether the settings need them (config.settings).
"""

from rest_react.build.models import Models
from rest_react.build.run_prompts import (
    AUTOEVAL,
    BEST_OPTION,
    JUDGED_ANSWER,
    JUDGED_GOOD,
    RANKING,
    READ_ANSWER,
    RunPrompts,
)
from rest_react.config.settings import Settings, TrainedModel, asks_reward_model, model_behind
from rest_react.judges.grader import Grader, LLMGrader, RuleGrader, RuleGraderSettings
from rest_react.judges.rating_grader import RatingGrader
from rest_react.protocols import LLM
from rest_react.records import ModelRef
from rest_react.selection.opinions import StepJudge
from rest_react.selection.reward_model import RewardModel
from rest_react.selection.trained_judge import TrainedJudge
from rest_react.selection.trajectory_filters import ANSWER_AGAIN, JUDGE_ANSWERS
from rest_react.stages.finetune import read_model
from rest_react.stages.judge.outcome_judge import WEIGHTS
from rest_react.storage.run_folder import RunFolder


class Judges:
    """The judges of a run."""

    def __init__(self, settings: Settings, folder: RunFolder, models: Models, prompts: RunPrompts) -> None:
        self.settings = settings
        self.folder = folder
        self.models = models
        self.prompts = prompts

    def reward_model(self) -> StepJudge | None:
        """The reward model; None if Improve does not use one."""
        improve = self.settings.improve
        if not asks_reward_model(self.settings):
            return None
        if isinstance(self.settings.reward_model, TrainedModel):
            of_answers = improve.keep_trajectories in JUDGE_ANSWERS
            stage = self.folder.stage(0, "outcome_judge", WEIGHTS) if of_answers else self.folder.stage(0, "judge")
            return TrainedJudge(self.trained(read_model(stage)))
        judge = self.models.judge("reward_model", self.settings.reward_model)
        ranking, judged_good = self.prompts.text(RANKING), self.prompts.text(JUDGED_GOOD)
        judged_answer = self.prompts.text(JUDGED_ANSWER) if improve.keep_trajectories in JUDGE_ANSWERS else ""
        read_answer = self.prompts.text(READ_ANSWER) if improve.keep_trajectories in ANSWER_AGAIN else ""
        return RewardModel(
            judge, ranking, judged_good, improve.max_tokens, self._best_option(), judged_answer, read_answer
        )

    def trained(self, model: ModelRef) -> LLM:
        """The client of the trained judge, with the settings of the policy."""
        return self.models.open("reward_model", self.settings.policy, model)

    def teacher(self) -> tuple[LLM, str]:
        """The teacher that writes labelled texts, and its prompt."""
        assert self.settings.task.teacher_prompt is not None
        return self.models.judge("teacher", self.settings.teacher), self.prompts.text(self.settings.task.teacher_prompt)

    def of_texts(self) -> RewardModel | None:
        """The reward model that drops synthetic texts which do not fit their label; None without one."""
        s = self.settings
        if not s.synthetic.judged:
            return None
        assert not isinstance(s.reward_model, TrainedModel)
        judge = self.models.judge("reward_model", s.reward_model)
        return RewardModel(judge, "", self.prompts.text(JUDGED_GOOD), s.improve.max_tokens, self._best_option())

    def grader(self) -> Grader:
        """The grader."""
        settings = self.settings.grader
        if isinstance(settings, RuleGraderSettings):
            return RuleGrader()
        model = model_behind(settings, self.settings.policy)
        assert model is not None
        limit, judge = self.settings.evaluate.grader_max_tokens, self.models.judge("grader", settings)
        if (rating := self.settings.task.rating_prompt()) is not None:
            template = self.prompts.text(rating[0])
            for mark, text in rating[1].items():
                template = template.replace(mark, text)
            return RatingGrader(judge, template, f"llm:{model.model}", limit)
        return LLMGrader(judge, self.prompts.text(AUTOEVAL), f"llm:{model.model}", max_tokens=limit)

    @property
    def grader_needs_room(self) -> bool:
        """Whether grader and policy both load weights on this machine, or on the same given servers, so that only one
        should be in memory."""
        policy = self.settings.policy
        grader = model_behind(self.settings.grader, policy)
        on_machine = grader is not None and grader.runs == policy.runs == "machine"
        return on_machine or (grader is policy and policy.runs == "server" and policy.tuned == "here")

    def _best_option(self) -> str | None:
        """The prompt of `improve.reward=options`."""
        return self.prompts.text(BEST_OPTION) if self.settings.improve.reward == "options" else None

"""The settings of the task tool_maker.

    settings.task.open(TaskContext(prompts, open_model=..., items=..., run_folder=...))

Not here: the task (tasks.tool_maker.task).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Field

from rest_react.errors import ConfigError
from rest_react.llm import LanguageModel
from rest_react.prompts import texts_hash
from rest_react.protocols import LLM
from rest_react.questions.question_settings import BuiltInItems, QuestionSettings
from rest_react.records import LabelledQuestion
from rest_react.setting_types import Count, Name, Positive, Temperature
from rest_react.storage.locked_settings import locked_settings
from rest_react.tasks.task_settings import TaskContext, TaskSettings, Verifies
from rest_react.tasks.tool_maker import states
from rest_react.tasks.tool_maker.items import SHOWN, ToolItems, ToolQuestions, build_items
from rest_react.tasks.tool_maker.library import Library, folder_name, folders_of_tools
from rest_react.tasks.tool_maker.making import MAKER, Maker, Toolbox
from rest_react.tasks.tool_maker.replies.calls import read_answer, read_call, read_calls, read_function
from rest_react.tasks.tool_maker.sandbox import Isolation, Sandbox, namespaces_problem
from rest_react.tasks.tool_maker.scripted import ScriptedMaker, ScriptedMakerModel, ScriptedUser
from rest_react.tasks.tool_maker.solved import solved_families
from rest_react.tasks.tool_maker.task import DISPATCHER, ToolMaker

RoleModel: TypeAlias = LanguageModel | ScriptedMakerModel
FamilyName: TypeAlias = Literal[
    "logical_deduction", "shuffled_objects", "bracket_closing", "word_sorting", "remainders", "meeting_schedule"
]
# As in configs/task/tool_maker.yaml. Only other limits are part of a folder's name, so that older folders are found.
_SANDBOX = {"sandbox": "namespaces", "sandbox_seconds": 5.0, "sandbox_memory_mb": 512}


@dataclass(frozen=True, slots=True)
class ToolMakerSettings(TaskSettings):
    """Tool makers: the maker writes a Python function for a family of questions, the policy calls it."""

    packaged_prompts: ClassVar[Path] = Path(__file__).parent / "prompts"
    step_names: ClassVar[Mapping[str, str]] = states.STEP_NAMES
    closings: ClassVar[Mapping[str, str]] = states.CLOSINGS
    has_items: ClassVar[bool] = True
    call_tokens: ClassVar[tuple[int, int]] = (700, 120)  # with a tool; 750 to 880 in all were measured in two worlds
    verifies: ClassVar[Verifies] = "all"

    kind: Literal["tool_maker"]
    families: tuple[FamilyName, ...]  # the families of the built-in questions
    # a folder with tools, which has a folder for each maker, or without a maker one of these; null: tools/ beside the
    # run's folder
    tools: str | None
    # a file of solved questions of your own families, six or more of each (docs/tool_makers.md): with dispatch and a
    # maker their tools are made when they are needed; null: tools are made for the built-in families alone
    solved: Name | None
    dispatch: bool  # whether a model chooses the tool of a question; false: the question's id names its family
    maker_max_tokens: Count  # of a reply of the maker
    maker_temperature: Temperature  # of a function and of verified calls
    maker_tries: Count  # of a function, and then of its calls; each failure is told to the maker
    # namespaces: Linux namespaces keep model-written code from the network and from files; limits_only: that code has
    # your rights, within limits of time and memory
    sandbox: Isolation
    sandbox_seconds: Positive  # CPU time of one run of a function and a call; three times that on the clock
    sandbox_memory_mb: Count  # of one run
    maker: Annotated[RoleModel, Field(discriminator="kind")] | None = None  # see Models; null: only tools that exist
    # chooses the tool, with dispatch: see Models; null: the policy
    dispatcher: Annotated[RoleModel, Field(discriminator="kind")] | None = None

    def open(self, context: TaskContext) -> ToolMaker:
        if context.open_model is None:
            return ToolMaker(context.prompts)
        open_model, models = context.open_model, self.models()
        sandbox = Sandbox(self.sandbox, self.sandbox_seconds, self.sandbox_memory_mb)
        items, maker = context.items, None
        if self.maker is not None:
            maker = Maker(
                open_model(MAKER, models[MAKER]), self.maker.model, context.prompts, sandbox,
                self.maker_max_tokens, self.maker_temperature, self.maker_tries,
            )  # fmt: skip
        toolbox = Toolbox(self._library(context), maker, lambda: self._examples(items()), sandbox)
        dispatcher = open_model(DISPATCHER, models[DISPATCHER]) if DISPATCHER in models else None
        return ToolMaker(context.prompts, toolbox, self.dispatch, dispatcher, context.run_folder)

    def content_digests(self, context: TaskContext) -> Mapping[str, str]:
        library = self._library(context)  # another maker has other tools, so its name is in theirs
        tools = {f"task.tools.{library.root.name}.{tool}": digest for tool, digest in library.digests().items()}
        return {"task.solved": texts_hash(self._own_texts()), **tools} if self.solved else tools

    def _library(self, context: TaskContext) -> Library:
        """The folder of tools: with a maker, its own in it; without one, the only one with tools. Raises ConfigError if
        there are several."""
        root = Path(self.tools) if self.tools else context.run_folder.parent / "tools"
        if self.maker is None:
            found = folders_of_tools(root)
            if len(found) > 1:
                told = ", ".join(str(folder) for folder in found)
                raise ConfigError(
                    [f"task.tools: task.maker is null, and several makers have tools; set task.tools to one of {told}"]
                )
            return Library(found[0] if found else root)
        return Library(root / f"{folder_name(self.maker.model)}-{self._way_of_making(context)}")

    def _way_of_making(self, context: TaskContext) -> str:
        """A digest of what decides what a maker makes: its settings, prompts and solved examples, and what its code may
        take. So a tool that was rejected once is made again in another way."""
        prompts = [
            context.prompts.by_kind[kind].prefix for kind in ("propose", "verify") if kind in context.prompts.by_kind
        ]
        limits = (self.maker_max_tokens, self.maker_temperature, self.maker_tries)
        model = sorted(locked_settings(self.maker, "maker").items())
        built_in = context.items()
        assert isinstance(built_in, ToolItems)
        shown = [(family, [one.question.text for one in solved]) for family, solved in built_in.examples.items()]
        changed = {name: getattr(self, name) for name, usual in _SANDBOX.items() if getattr(self, name) != usual}
        sandbox = [repr(changed)] if changed else []
        return texts_hash([*prompts, repr(limits), repr(model), repr(shown), *sandbox, *self._own_texts()])[:8]

    def _own_texts(self) -> list[str]:
        return [repr((one.kind, one.question.text, one.answers)) for one in self.solved_questions()]

    def solved_questions(self) -> Sequence[LabelledQuestion]:
        return [one for family in self._own_families().values() for one in family]

    def models(self) -> Mapping[str, RoleModel]:
        roles = {MAKER: self.maker, DISPATCHER: self.dispatcher}
        return {role: model for role, model in roles.items() if model is not None}

    def answered_by(self, questions: QuestionSettings) -> RoleModel | None:
        return self.maker if isinstance(questions, ToolQuestions) and questions.of_maker else None

    def making_of_tools(self, questions: Sequence[QuestionSettings]) -> tuple[RoleModel, int] | None:
        """As if all tries were needed, of the function and then of its calls, and no earlier run had made a tool."""
        built_in = [one for one in questions if isinstance(one, ToolQuestions)]
        need_tools = [one for one in built_in if not one.asked.endswith("alone")]
        tools = len(self.families) if need_tools else 0
        if need_tools or len(built_in) < len(questions):
            tools += len(self._own_families())
        return None if self.maker is None or not tools else (self.maker, tools * 2 * self.maker_tries)

    def problems(self, path: str, questions: Mapping[str, QuestionSettings]) -> Iterator[str]:
        if not self.families:
            yield f"{path}.families: is empty; name at least one family"
        if self.sandbox == "namespaces" and (problem := namespaces_problem()):
            yield (
                f"{path}.sandbox: this system cannot isolate model-written code ({problem}); allow unprivileged user "
                f"namespaces, or set {path}.sandbox=limits_only, where that code has your network and your files"
            )
        if self.dispatcher is not None and not self.dispatch:
            yield f"{path}.dispatcher: is not used; set {path}.dispatch=true, or leave it out"
        if self.solved and self.dispatch and self.maker is not None and self.maker.runs == "script":
            yield (
                f"{path}.solved: a script makes tools for the built-in families alone; set {path}.maker=openai, or "
                "another model"
            )
        if self.solved and (self.maker is None or not self.dispatch):
            missing = f"{path}.dispatch=true" if self.maker is not None else f"{path}.maker=openai, or another model,"
            yield f"{path}.solved: is not used; set {missing} or leave it out"
        try:
            self._own_families()
        except ConfigError as wrong:
            yield from (f"{path}.solved: {problem}" for problem in wrong.problems)
        for name, source in questions.items():
            if isinstance(source, ToolQuestions):
                if self.maker is None and source.of_maker:
                    yield f"{name}.asked: {source.asked} needs a maker; set {path}.maker=openai, or another model"
            elif source.is_world:
                split = f" {name}.split=evaluation" if name.startswith("evaluate.") else ""
                yield (
                    f"{name}: task=tool_maker has questions of its own; set questions@{name}=tools{split}, or use "
                    "experiment=tool_maker"
                )
            elif not self.dispatch:
                yield f"{name}: only built-in questions name their family; set {path}.dispatch=true"

    def exemplar_problem(self, kind: str, completion: str) -> str:
        match kind:
            case "propose":
                return read_function(completion).problem
            case "verify":
                return next((p for part in read_calls(completion, SHOWN) if (p := read_call(part).problem)), "")
            case "use":
                return read_call(completion).problem
            case _:
                return "" if read_answer(completion) else "no answer"

    def calls(self, searches: float, *, self_checks: bool) -> float:
        return 1 + self.dispatch

    def built_in(self, seed: int, *, passages: int, demonstrations: int, train: int, evaluation: int) -> ToolItems:
        return build_items(seed, self.families, demonstrations=demonstrations, train=train, evaluation=evaluation)

    def scripted(self, items: BuiltInItems, *, seed: int, slip: float, **shares: Any) -> LLM:
        assert isinstance(items, ToolItems)
        answers = items.answers()
        if "behaviour" in shares:
            return ScriptedMaker(shares["behaviour"], items.plans, answers)
        return ScriptedUser(items.plans, answers, **shares)

    def _examples(self, items: BuiltInItems) -> Mapping[str, Sequence[LabelledQuestion]]:
        """The questions from which the maker makes the tool of a family, built-in or the user's own."""
        assert isinstance(items, ToolItems)
        return {**items.examples, **self._own_families()}

    def _own_families(self) -> Mapping[str, Sequence[LabelledQuestion]]:
        """Raises ConfigError."""
        return solved_families(Path(self.solved).expanduser()) if self.solved else {}

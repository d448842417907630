"""The prompt files of search_qa: one per step kind, and the last instructions to a chat model.

    prompts = with_numbers(settings.load_prompts(PACKAGED_PROMPTS), hits_per_search=3, max_searches=10)
    StepPrompts(prompts, CLOSINGS).prompt("decide", state, tuned=False)

`{hits_per_search}` and `{max_searches}` in the instructions stand for the settings of that name.
Not here: reading a prompt file (rest_react.prompts), and the text of a state (tasks.search_qa.render_state).
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rest_react.prompts import StepPrompt

PACKAGED_PROMPTS = Path(__file__).parent / "prompts"
# The last instruction to a chat model, after the state. It contains no call with a bracket and no exact end mark,
# because a model that repeats its input would be stopped there.
CLOSINGS: Mapping[str, str] = {
    "decide": "Now write the decision: one line, ACTION_SELECTED = and one call of ActionWrapper.",
    "summarise": "Now write the summary: a comment line for each rejected link, then one line, ACTION_SELECTED = and "
    "one call of LinkSelection.",
    "answer": "Now write the answer: one line, ACTION_SELECTED = and one call of Answer.",
    "relevance": "Now write the relevance check: comment lines that judge ANSWER, then one line, ACTION_SELECTED = and "
    "one call of Check_Answer or Revise_Answer.",
    "grounding": "Now write the grounding check: comment lines that compare ANSWER with the links, then one line, "
    "ACTION_SELECTED = and one call of Check_Answer or Revise_Answer.",
}


def with_numbers(
    prompts: Mapping[str, StepPrompt], *, hits_per_search: int, max_searches: int
) -> dict[str, StepPrompt]:
    """The prompts with the numbers of the settings in their instructions."""
    numbers = {"{hits_per_search}": str(hits_per_search), "{max_searches}": str(max_searches)}

    def filled(text: str) -> str:
        for mark, number in numbers.items():
            text = text.replace(mark, number)
        return text

    return {kind: replace(prompt, instructions=filled(prompt.instructions)) for kind, prompt in prompts.items()}

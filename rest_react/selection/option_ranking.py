"""Asks a model by options: it scores letters of candidates, or yes and no, and writes nothing.

    await rank_by_letters(llm, template, state, ["...", "..."], seed=7)    # Opinion(order=(1, 0), ...)
    await judge_by_yes_no(llm, text + "GOOD:")                             # Judgement(good=True, ...)

Models favour some letters and places. So the candidates are shuffled and asked about in every rotation: each candidate
has each letter once, and its score is the sum of its log-probabilities. A preference for a letter adds the same to all
candidates and cancels; if nothing else is left, the order is empty. One request per candidate, each with one
generated token at most. The written ranking is the paper's (section 3.5); this one is ours, for models that are too
small to write one.
Not here: how a client scores options (llm.option_scores), written replies (reward_model).
"""

import random
from collections.abc import Sequence
from dataclasses import replace
from string import ascii_uppercase

from rest_react.concurrency import gather_or_cancel
from rest_react.protocols import LLM
from rest_react.records import Completion, OptionScores, Prompt
from rest_react.selection.opinions import Judgement, Opinion
from rest_react.text_safety.escaping import fill_in, inert

YES_NO = ("yes", "no")
MOST_OPTIONS = 20  # likely tokens that a server lists
_LETTER_ALONE, _WORD_ALONE = "\n\nReply with the letter alone.", "\n\nReply with yes or no alone."
DIGITS = 4  # of a stored score


async def rank_by_letters(
    llm: LLM, template: str, state: str, candidates: Sequence[str], *, seed: int
) -> Opinion | None:
    """The candidates by the sum of their letters' scores over all rotations. None if the model cannot be asked for
    scores, and without `logprobs` if a reply begins with none of the letters. `template` has {inputs} and {outputs} and
    ends where the letter follows. Raises the errors of the client."""
    count = len(candidates)
    letters = ascii_uppercase[:count]
    shuffled = list(range(count))
    random.Random(seed).shuffle(shuffled)
    rotations = [shuffled[start:] + shuffled[:start] for start in range(count)]  # each: the candidate of each letter

    async def ask(shown: Sequence[int]) -> OptionScores | None:
        outputs = "\n\n".join(
            f"*** Output {letter}:\n```\n{inert(candidates[i])}\n```" for letter, i in zip(letters, shown, strict=True)
        )
        text = fill_in(template, inputs=inert(state), outputs=outputs).rstrip()
        return await llm.score(Prompt("", text, closing=_LETTER_ALONE), tuple(letters))

    first = await ask(rotations[0])  # before the others, which then share what it has read
    if first is None or not first.logprobs:
        return None if first is None else Opinion((), taken_by([first], ""))
    found = [first, *(one for one in await gather_or_cancel(map(ask, rotations[1:])) if one is not None)]
    if sum(bool(one.logprobs) for one in found) < count:
        return Opinion((), taken_by(found, ""))
    places = [[shown.index(i) for i in range(count)] for shown in rotations]
    rows = tuple(
        tuple(round(one.logprobs[place] + 0.0, DIGITS) for place in places_of)
        for one, places_of in zip(found, places, strict=True)
    )
    totals = [round(sum(row[i] for row in rows), DIGITS) for i in range(count)]
    decided = max(totals) - min(totals) > count * 10**-DIGITS
    order = tuple(sorted(range(count), key=lambda i: -totals[i])) if decided else ()
    reply = "" if decided else "all options score the same"
    names = tuple("".join(letters[place] for place in places_of) for places_of in places)
    return Opinion(order, taken_by(found, reply), names, rows, sum(len(one.floored) for one in found))


async def judge_by_yes_no(llm: LLM, text: str) -> Judgement | None:
    """Whether yes is likelier than no behind the text; None if the model cannot be asked for scores, and without
    `logprobs` if its reply begins with neither. Raises the errors of the client."""
    scores = await llm.score(Prompt("", text, closing=_WORD_ALONE), YES_NO)
    if scores is None or not scores.logprobs:
        return None if scores is None else Judgement(None, taken_by([scores], ""))
    return judgement_of(scores)


def judgement_of(scores: OptionScores) -> Judgement:
    """The judgement that the scores of yes and no give; without one where they are equal."""
    yes, no = (round(value, DIGITS) for value in scores.logprobs)
    return Judgement(None if yes == no else yes > no, taken_by([scores], ""), (yes, no), len(scores.floored))


def with_tokens_of(reply: Completion, scored: Opinion | Judgement | None) -> Completion:
    """A written reply that also took the tokens of scores that were of no use."""
    if scored is None:
        return reply
    used = scored.reply
    prompt, completion = reply.prompt_tokens + used.prompt_tokens, reply.tokens + used.tokens
    return replace(reply, prompt_tokens=prompt, tokens=completion)


def taken_by(scores: Sequence[OptionScores], text: str) -> Completion:
    """A reply with this text, which took the tokens of these scores."""
    prompt, completion = sum(one.prompt_tokens for one in scores), sum(one.completion_tokens for one in scores)
    return Completion(text, completion, None, "stop", prompt)

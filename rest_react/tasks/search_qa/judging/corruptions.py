"""Flawed versions of an output, each with one error that small policies make: for the training of a judge.

    list(corruptions("decide", state, output, Random(7)))
    # a query without its name, with another relation or another name; an early Terminate

Of a summary: a wrong link, another name; of an answer: a missing claim, another name; of a check: the opposite verdict.
No label is used: an output that was right becomes wrong by its error alone. A corruption can be right by chance.
Not here: the pairs of a judge (stages.judge.step_judge).
"""

import re
from collections.abc import Iterator
from random import Random

_NAME = re.compile(r"\b[A-Z][a-z]+ [A-Z][a-z]+\b|\b[A-Z][a-z]{3,}\b|\b\d{4}\b")
_TEXT = re.compile(r'"((?:[^"\\]|\\.)*)"')
_QUERY = re.compile(r'query="([^"]*)"')
_LINK = re.compile(r"^    ResultItem\(link_id=(\d+)", re.MULTILINE)
_SELECTED = re.compile(r"selected_link_ids=\[(\d+)\]")
_LAST_CLAIM = re.compile(r'(answer="[^"]*\]\.) [^"]*"')
_TARGET = "ACTION_SELECTED = "
_TERMINATE = f'{_TARGET}ActionWrapper(thoughts="I have it: {{}}.", action=Terminate())'
_SEARCH = f'{_TARGET}ActionWrapper(thoughts="Now: {{}}?", action=Search(query="{{}}"))'


def corruptions(kind: str, state: str, output: str, rng: Random) -> Iterator[str]:
    """Corrupted versions of the output, each with one error."""
    match kind:
        case "decide":
            yield from _wrong_decisions(state, output, rng)
        case "summarise":
            yield from _wrong_links(state, output, rng)
            yield from replace_name(state, output, rng)
        case "answer":
            yield _LAST_CLAIM.sub(r'\1"', output)
            yield from replace_name(state, output, rng)
        case "relevance" | "grounding":
            opposite = {"True": "False", "False": "True"}
            yield re.sub(r"passed=(True|False)", lambda match: f"passed={opposite[match[1]]}", output)


def _wrong_decisions(state: str, output: str, rng: Random) -> Iterator[str]:
    question = _TEXT.findall(state)[0]
    before = _QUERY.findall(state)
    query_match = _QUERY.search(output)
    if query_match is None:
        yield from (_SEARCH.format(question.rstrip("?"), query) for query in (question, *before))
        return
    query = query_match[1]
    relation, _, name = query.partition(" of ")
    others = [word for word in re.findall(r"\b[a-z]{4,}\b", question) if word not in query]
    wrong = [relation, *before[-1:]] + ([f"{rng.choice(others)} of {name}"] if others else [])
    yield from (output.replace(f'query="{query}"', f'query="{text}"') for text in wrong)
    yield from (_TERMINATE.format(part) for part in _NAME.findall(name)[:1])
    # Another name in the thoughts alone leaves a right search.
    yield from (text for text in replace_name(state, output, rng) if _QUERY.findall(text) != [query])


def _wrong_links(state: str, output: str, rng: Random) -> Iterator[str]:
    selected = _SELECTED.search(output)
    others = [link for link in _LINK.findall(state) if selected is not None and link != selected[1]]
    if selected is not None and others:
        other = rng.choice(others)
        yield output.replace(selected[0], f"selected_link_ids=[{selected[1]}, {other}]")
        yield output.replace(selected[0], f"selected_link_ids=[{other}]").replace(
            f"[link_id={selected[1]}]", f"[link_id={other}]"
        )


def replace_name(state: str, output: str, rng: Random) -> Iterator[str]:
    """The output with one name or year of its action replaced by another one of the state, if there is another."""
    head, mark, action = output.partition(_TARGET)
    names = set(_NAME.findall("\n".join(_TEXT.findall(state))))
    in_action = sorted(names & set(_NAME.findall(action)))
    if in_action:
        old = rng.choice(in_action)
        others = [name for name in sorted(names) if name not in action and name.isdigit() == old.isdigit()]
        if others:
            yield f"{head}{mark}{action.replace(old, rng.choice(others))}"

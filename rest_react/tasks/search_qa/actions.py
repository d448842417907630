"""The actions of the agent as records, and their canonical text.

The model writes Python-looking calls ("code as prompt", paper section 3.1). Exemplars, demonstrations and training
targets all have the form that `render_output` writes:

    >>> print(render_output(Search(query="where Ada Mell was born", thoughts="Where first.")))
    ACTION_SELECTED = ActionWrapper(thoughts="Where first.", action=Search(query="where Ada Mell was born"))  # [END]

`render_past` spells the same actions as entries of PAST_ACTIONS. The inverse of `render_output` is `parsing.parse`.
Not here: reading model output, and deciding what to do.
"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from rest_react.text_safety.escaping import quote

END = "  # [END]"
StepKind = Literal["decide", "summarise", "answer", "relevance", "grounding"]
STEP_KINDS: tuple[StepKind, ...] = ("decide", "summarise", "answer", "relevance", "grounding")


@dataclass(frozen=True, slots=True)
class Search:
    """Send a query to the search engine."""

    query: str
    thoughts: str = ""
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Terminate:
    """Stop searching and answer."""

    thoughts: str = ""
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LinkSelection:
    """The action of a summarise step: `comments` say why links are rejected; the other fields keep the useful links."""

    grounded_summarization: str
    thoughts: str
    selected_link_ids: tuple[int, ...]
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A long-form answer that cites `[link_id=N]`."""

    thoughts: str
    answer: str
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """The verdict of a self-check that keeps the current answer. `passed=False` without a revision changes nothing."""

    passed: bool
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ReviseAnswer:
    """The verdict of a self-check that replaces the answer; an empty revision changes nothing."""

    revised_answer: str
    comments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResultItem:
    """A search result with its link id, which is unique in the trajectory."""

    link_id: int
    link_text: str
    snippet: str


@dataclass(frozen=True, slots=True)
class SelectLink:
    """The entry of a summary in PAST_ACTIONS, with the selected results only."""

    selected_links: tuple[ResultItem, ...]
    grounded_summarization: str
    thoughts: str


Action: TypeAlias = Search | Terminate | LinkSelection | Answer | CheckAnswer | ReviseAnswer
PastAction: TypeAlias = Search | SelectLink | Terminate | Answer


def render_output(action: Action) -> str:
    """The completion for `action`, including `# [END]`. A comment is one line and not empty."""
    comments = "".join(f"# {line}\n" for line in action.comments)
    match action:
        case Search(query, thoughts):
            call = f"ActionWrapper(thoughts={quote(thoughts)}, action=Search(query={quote(query)}))"
        case Terminate(thoughts):
            call = f"ActionWrapper(thoughts={quote(thoughts)}, action=Terminate())"
        case LinkSelection(summary, thoughts, ids):
            call = (
                f"LinkSelection(grounded_summarization={quote(summary)}, thoughts={quote(thoughts)}, "
                f"selected_link_ids=[{', '.join(map(str, ids))}])"
            )
        case Answer(thoughts, answer):
            call = f"Answer(thoughts={quote(thoughts)}, answer={quote(answer)})"
        case CheckAnswer(passed):
            call = f"Check_Answer(passed={passed})"
        case ReviseAnswer(revised):
            call = f"Revise_Answer(revised_answer={quote(revised)})"
    return f"{comments}ACTION_SELECTED = {call}{END}"


def canonical_text(action: Action) -> str:
    """The training target for `action`: its canonical text without the end mark, which the end token replaces."""
    return render_output(action).removesuffix(END)


def render_item(item: ResultItem) -> str:
    """A search result as text of a prompt."""
    return f"ResultItem(link_id={item.link_id}, link_text={quote(item.link_text)}, snippet={quote(item.snippet)})"


def render_past(action: PastAction) -> str:
    """An entry of PAST_ACTIONS as text of a prompt."""
    match action:
        case Search(query, thoughts):
            return f"Search(query={quote(query)}, thoughts={quote(thoughts)})"
        case SelectLink(items, summary, thoughts):
            links = ", ".join(map(render_item, items))
            return (
                f"SelectLink(selected_links=[{links}], grounded_summarization={quote(summary)}, "
                f"thoughts={quote(thoughts)})"
            )
        case Terminate(thoughts):
            return f"Terminate(thoughts={quote(thoughts)})"
        case Answer(thoughts, answer):
            return f"Answer(thoughts={quote(thoughts)}, answer={quote(answer)})"


def empty_elements(action: Action) -> tuple[str, ...]:
    """The names of empty elements (the paper's rules for raters: an output with an empty element is bad).

    Self-checks need comments, because they have no other reasoning; a summary that rejects no link needs none.
    """
    match action:
        case Search(query, thoughts):
            fields = {"query": query, "thoughts": thoughts}
        case Terminate(thoughts):
            fields = {"thoughts": thoughts}
        case LinkSelection(summary, thoughts, _, _):
            fields = {"grounded_summarization": summary, "thoughts": thoughts}
        case Answer(thoughts, answer):
            fields = {"thoughts": thoughts, "answer": answer}
        case CheckAnswer(_, comments):
            fields = {"comments": " ".join(comments)}
        case ReviseAnswer(revised, comments):
            fields = {"revised_answer": revised, "comments": " ".join(comments)}
    return tuple(name for name, text in fields.items() if not text.strip())


def decision_of(action: Action) -> str:
    """The action without thoughts and comments: the key for majority votes."""
    match action:
        case Search(query):
            return f"search {' '.join(query.lower().split())}"
        case Terminate():
            return "terminate"
        case LinkSelection(_, _, ids):
            return f"select {sorted(ids)}"
        case Answer(_, answer):
            return f"answer {' '.join(answer.lower().split())}"
        case CheckAnswer(passed):
            return f"passed {passed}"
        case ReviseAnswer(revised):
            return f"revise {' '.join(revised.lower().split())}"

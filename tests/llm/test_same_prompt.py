"""What a model is asked and what it is trained on are the same tokens, whoever serves it: in this process, behind a
vLLM of the run's own, behind an OpenAI-shaped server; in both modes, for templates of all kinds and their arguments."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from rest_react.build import Parts
from rest_react.config.compose import compose
from rest_react.llm.local_engine.seeded_draws import Draw
from rest_react.llm.transformers_engine import TransformersEngine
from rest_react.llm.vllm import vllm_server
from rest_react.protocols import LLM
from rest_react.records import Example, ModelRef, Prompt, Sampling
from rest_react.storage.run_folder import RunFolder
from rest_react.training.hosted.rows import render_rows
from rest_react.training.local import LocalTrainer, LocalTraining
from rest_react.training.process.job import prepare_job, read_job, read_rows
from rest_react.weights import make_rows, resolve_weights
from rest_react.weights.loss_mask import IGNORED
from tests.loopback import Reply, Request, Server, serve

STATE = 'ORIGINAL_QUESTION = "Who founded Ostrim?"\n\n# step: decision\n'
BARE = Prompt("", STATE)
SHOWN = Prompt(
    "Be exact.\n", STATE, (("STATE = 1\n", "A()  # [END]"), ("STATE = 2\n", "B()  # [END]")), "\nNow write.\n"
)
EXAMPLES = [Example("q.0.0", "q.0", 0, "decide", STATE, 'ACTION_SELECTED = Search(query="Ostrim")', "first")]
TURNS = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
ASKS = "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
TEMPLATES = {
    "invents a system turn": (
        "{% if messages[0].role != 'system' %}<|im_start|>system\nYou are tiny.<|im_end|>\n{% endif %}" + TURNS + ASKS
    ),
    "no system turn": (
        "<|endoftext|>{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}"
        "{% endif %}{% for m in messages %}<|im_start|>{{ 'model' if m.role == 'assistant' else m.role }}\n"
        "{{ m.content | trim }}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>model\n{% endif %}"
    ),
    "thinks": TURNS
    + ASKS
    + "{% if add_generation_prompt and enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}",
}
QUIET = "+policy.chat_template_kwargs={enable_thinking: false}"


@dataclass
class Tokenising:
    """A server that tells no more than which tokens a request becomes, as vLLM makes them."""

    tokenizer: PreTrainedTokenizerBase
    seen: list[list[int]] = field(default_factory=list)

    def answer(self, request: Request) -> Reply:
        if request.method == "GET":
            return Reply(200, {})
        body = request.json
        try:
            self.seen.append(self.tokens(body))
        except TemplateError as error:
            return Reply(400, {"error": {"message": str(error)}})
        return Reply(200, {"choices": [{"message": {"content": "x"}, "text": "x", "finish_reason": "stop"}]})

    def tokens(self, body: dict[str, Any]) -> list[int]:
        if "prompt" in body:
            return list(self.tokenizer.encode(body["prompt"]))
        arguments: dict[str, Any] = {**body.get("chat_template_kwargs", {}), "add_generation_prompt": True}
        text = self.tokenizer.apply_chat_template(body["messages"], tokenize=False, **arguments)
        return list(self.tokenizer.encode(str(text), add_special_tokens=False))


@pytest.fixture(params=list(TEMPLATES))
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A model's folder with a template of one kind."""
    tokenizer = AutoTokenizer.from_pretrained(resolve_weights("tiny-random"))
    tokenizer.chat_template = TEMPLATES[request.param]
    tokenizer.save_pretrained(tmp_path / "model")
    return tmp_path / "model"


def parts(folder: Path, kind: str, *overrides: str) -> Parts:
    chosen = [f"policy={kind}", f"policy.model={folder}", "start=prompted", "iteration=1", "tracking=none"]
    return Parts(compose([*chosen, *overrides]), RunFolder(folder.parent / "run"))


class Submitted(Exception):
    """Carries what an engine would have been given."""


def in_process(folder: Path, *overrides: str) -> list[list[int]]:
    built = parts(folder, "smollm2", *overrides)
    engine = cast("Any", built.llm(built.starting_model())).client
    assert isinstance(engine, TransformersEngine)

    def submit(draws: list[Draw]) -> None:
        raise Submitted(draws[0].prompt)

    engine._manager, engine._tokenizer, engine._context = object(), AutoTokenizer.from_pretrained(folder), 16_384
    engine._submit = submit  # type: ignore[method-assign]
    found = []
    for prompt in (BARE, SHOWN):
        with pytest.raises(Submitted) as caught:
            asyncio.run(engine.sample(prompt, n=1, sampling=Sampling(0.5, 9, 7)))
        found.append(list(caught.value.args[0]))
    return found


def asked(llm: LLM, server: Tokenising) -> list[list[int]]:
    async def main() -> None:
        try:
            for prompt in (BARE, SHOWN):
                await llm.sample(prompt, n=1, sampling=Sampling(0.5, 9, 7))
        finally:
            await llm.aclose()

    asyncio.run(main())
    return server.seen


@contextmanager
def tokenising(folder: Path) -> Iterator[tuple[Server, Tokenising]]:
    server = Tokenising(AutoTokenizer.from_pretrained(folder))
    with serve(server.answer) as place:
        yield place, server


def behind_vllm(folder: Path, monkeypatch: pytest.MonkeyPatch, *overrides: str) -> list[list[int]]:
    idle = f"policy.command=[{sys.executable},-c,'import time; time.sleep(60)']"
    with tokenising(folder) as (place, server):
        monkeypatch.setattr(vllm_server, "free_port", lambda *_: int(place.url.rpartition(":")[2]))
        built = parts(folder, "vllm", idle, *overrides)
        return asked(built.llm(built.starting_model()), server)


def behind_a_server(folder: Path, *overrides: str) -> list[list[int]]:
    with tokenising(folder) as (place, server):
        address = (f"policy.base_url={place.url}/v1", "policy.api_key_env=''", "finetune=hosted", "iteration=0")
        built = parts(folder, "openai", *address, *overrides)
        return asked(built.llm(built.starting_model()), server)


def trained_on(folder: Path, kind: str, *overrides: str) -> list[int]:
    """The prompt of a row as the training process makes it."""
    trainer = parts(folder, kind, "finetune=lora", *overrides).trainer(1)
    assert isinstance(trainer, LocalTrainer)
    job_folder = folder.parent / kind
    base = ModelRef(str(folder), "base", tuned=False)
    prepare_job({"examples.jsonl": EXAMPLES}, base, job_folder, 0, trainer.training, folder.parent)
    job = read_job(job_folder / "job.json", LocalTraining)
    how, tokenizer = job.training, AutoTokenizer.from_pretrained(job.base)
    examples = read_rows(job_folder / "examples.jsonl", Example)
    (row,) = make_rows(examples, tokenizer, how.mode, how.max_length, how.chat_template_kwargs)
    return list(row.input_ids[: row.labels.count(IGNORED)])


@pytest.mark.parametrize("overrides", [("policy.mode=chat",), ("policy.mode=chat", QUIET), ("policy.mode=completion",)])
def test_every_server_and_the_training_see_the_same_tokens(
    folder: Path, monkeypatch: pytest.MonkeyPatch, overrides: tuple[str, ...]
) -> None:
    bare, shown = in_process(folder, *overrides)
    assert behind_vllm(folder, monkeypatch, *overrides) == [bare, shown]
    assert behind_a_server(folder, *overrides) == [bare, shown]
    assert trained_on(folder, "smollm2", *overrides) == trained_on(folder, "vllm", *overrides) == bare
    assert bare != shown


def test_an_argument_of_the_template_changes_what_is_asked_and_what_is_trained_on(folder: Path) -> None:
    tokenizer = AutoTokenizer.from_pretrained(folder)
    plain, quiet = (trained_on(folder, "smollm2", "policy.mode=chat", *more) for more in ((), (QUIET,)))
    thinks = "enable_thinking" in str(tokenizer.chat_template)
    assert (tokenizer.decode(quiet) == tokenizer.decode(plain) + "<think>\n\n</think>\n\n") == thinks
    assert (quiet == plain) != thinks


def test_the_rows_of_a_hosted_job_are_the_chats_that_a_tuned_model_is_asked(folder: Path) -> None:
    with tokenising(folder) as (_, server):
        (chat,) = (json.loads(row)["messages"] for row in render_rows(EXAMPLES).splitlines())
        trained = server.tokens({"messages": chat[:-1]})
    assert trained == behind_a_server(folder)[0]

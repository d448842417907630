"""A model service on loopback, like those that researchers rent: chat and text completions by any `LLM` of the package,
and an OpenAI-shaped fine-tuning API beside them that really trains.

    with serving(lambda name, mode: TransformersEngine(name, mode=mode), tmp_path) as service:
        OpenAICompatible("tiny-random", base_url=service.url, api_key_env=None, mode="chat")

An uploaded file of chats becomes examples, a job a training (or what `train` does instead), and its end a model
`ft:<base>:<job>`, which is served like any other. Not here: a service at its worst (test_under_fire), fakes of the API
(training/hosted).
"""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from rest_react.errors import ModelFault
from rest_react.protocols import LLM
from rest_react.records import Completion, Example, ModelRef, Prompt, Sampling
from rest_react.setting_types import Mode
from rest_react.training.local import LocalTrainer, LocalTraining
from tests.loopback import Reply, Request, serve

T = TypeVar("T")
Tell = Callable[[int, int, float], None]  # a step, of how many, and its loss
Train = Callable[[list[Example], ModelRef, Path, dict[str, Any], Tell], Coroutine[Any, Any, ModelRef]]
TRAINING = LocalTraining(
    method="full",
    mode="chat",  # what the API's rows are
    epochs=1,
    max_steps=2,
    batch_size=4,
    micro_batch_size=4,
    learning_rate=1e-2,
    warmup_ratio=0.0,
    weight_decay=0.0,
    max_length=4096,
    save_every=None,
    lora_r=4,
    lora_alpha=8,
    lora_dropout=0.0,
    optimizer="adamw",
    num_processes=1,
    threads=1,
    dtype="float32",
)


async def train_locally(
    examples: list[Example], base: ModelRef, folder: Path, asked: dict[str, Any], tell: Tell
) -> ModelRef:
    """A training on this machine."""
    return await LocalTrainer(TRAINING, folder.parent, tell).train(examples, base, folder, asked["seed"])


@dataclass(slots=True)
class Job:
    """A fine-tuning job: what was asked for, the training that it became, and the messages and losses of its steps."""

    id: str
    asked: dict[str, Any]
    training: "Future[ModelRef]"
    tokens: int
    events: list[str] = field(default_factory=list)
    losses: list[tuple[int, float]] = field(default_factory=list)

    def tell(self, step: int, total: int, loss: float) -> None:
        self.losses.append((step, loss))
        self.events.append(f"step {step} of {total}, loss {loss:.4f}")

    @property
    def tuned(self) -> str:
        return f"ft:{self.asked['model']}:{self.id}"


class Service:
    """Answers requests. `calls` counts those for each model, `folder` holds what the jobs left behind."""

    def __init__(self, open_model: Callable[[str, Mode], LLM], folder: Path, train: Train = train_locally) -> None:
        self.url = ""
        self.folder = folder
        self.files: dict[str, bytes] = {}
        self.jobs: list[Job] = []
        self.calls: Counter[str] = Counter()
        self.paths: set[str] = set()
        self._names: dict[str, str] = {}
        self._train = train
        self._open_model = open_model
        self._models: dict[tuple[str, Mode], LLM] = {}
        self._lock = threading.Lock()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def answer(self, request: Request) -> Reply:
        path = request.path.partition("?")[0].removeprefix("/v1")
        match (request.method, path.strip("/").split("/")):
            case ("POST", ["chat", "completions"]):
                return self._sampled(request.json, "chat")
            case ("POST", ["completions"]):
                return self._sampled(request.json, "completion")
            case ("POST", ["files"]):
                return self._keep(request.body)
            case ("GET", ["files"]):
                return listing({"id": name, "filename": self._names[name]} for name in self.files)
            case ("POST", ["fine_tuning", "jobs"]):
                return Reply(200, self._begin(request.json))
            case ("GET", ["fine_tuning", "jobs"]):
                return listing(map(told, self.jobs))
            case ("GET", ["fine_tuning", "jobs", name]):
                return Reply(200, told(self._job(name)))
            case ("GET", ["fine_tuning", "jobs", name, "events"]):
                job = self._job(name)
                steps = enumerate(zip(list(job.events), job.losses, strict=False))
                return listing(
                    [
                        {"id": f"{name}-{i}", "message": message, "type": "metrics",
                         "data": {"step": step, "train_loss": loss}}
                        for i, (message, (step, loss)) in steps
                    ][::-1]
                )  # fmt: skip
        return Reply(404, {"error": {"message": f"no route {request.method} {path}"}})

    def close(self) -> None:
        for model in self._models.values():
            self._wait(model.aclose())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    # ── models ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _sampled(self, body: dict[str, Any], mode: Mode) -> Reply:
        prompt = chat_prompt(body["messages"]) if mode == "chat" else Prompt("", body["prompt"])
        sampling = Sampling(body["temperature"], body["max_tokens"], body["seed"], tuple(body.get("stop", ())))
        with self._lock:
            self.calls[body["model"]] += 1
            self.paths.add(mode)
            key = (body["model"], mode)
            if key not in self._models:
                self._models[key] = self._open_model(*key)
            model = self._models[key]
        try:
            completions = self._wait(model.sample(prompt, n=body.get("n", 1), sampling=sampling))
        except ModelFault as fault:
            return Reply(400, {"error": {"message": str(fault)}})
        return reply_with(completions, mode, logprobs=bool(body.get("logprobs")))

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    # ── fine-tuning ───────────────────────────────────────────────────────────────────────────────────────────────────

    def weights(self, tuned: str) -> Path:
        """Where the weights of a tuned model lie."""
        (name,) = [job.training.result().name for job in self.jobs if job.tuned == tuned]
        return self.folder / name

    def _keep(self, form: bytes) -> Reply:
        """An upload: of a multipart form the file alone."""
        boundary = form.partition(b"\r\n")[0]
        filename, _, rest = form.partition(b'filename="')[2].partition(b'"')
        rows = rest.partition(b"\r\n\r\n")[2].partition(b"\r\n" + boundary)[0]
        with self._lock:
            name = f"file-{len(self.files)}"
            self.files[name], self._names[name] = rows, filename.decode()
        return Reply(200, {"id": name, "object": "file", "filename": self._names[name]})

    def _begin(self, asked: dict[str, Any]) -> dict[str, Any]:
        examples = read_chats(self.files[asked["training_file"]])
        tokens = sum(len(f"{one.prompt} {one.completion}".split()) for one in examples)
        with self._lock:
            job = Job(f"ftjob-{len(self.jobs)}", asked, Future(), tokens)
            self.jobs.append(job)
        base = ModelRef(asked["model"], "base", tuned=False)
        training = self._train(examples, base, self.folder / job.id, asked, job.tell)
        job.training = asyncio.run_coroutine_threadsafe(training, self._loop)
        return told(job)

    def _job(self, name: str) -> Job:
        return next(job for job in self.jobs if job.id == name)


def told(job: Job) -> dict[str, Any]:
    """A job in the API's words."""
    facts = {"id": job.id, "object": "fine_tuning.job", **job.asked}
    if not job.training.done():
        return facts | {"status": "running"}
    error = job.training.exception()
    if error is not None:
        return facts | {"status": "failed", "error": {"code": "training", "message": str(error)}}
    return facts | {"status": "succeeded", "fine_tuned_model": job.tuned, "trained_tokens": job.tokens}


def chat_prompt(messages: list[dict[str, str]]) -> Prompt:
    """The inverse of `chat_turns`."""
    system = "".join(message["content"] for message in messages if message["role"] == "system")
    *shown, state = [message["content"] for message in messages if message["role"] != "system"]
    bare, mark, closing = state.partition("\nNow write the ")
    return Prompt(system, bare, tuple(zip(shown[::2], shown[1::2], strict=True)), mark + closing)


def read_chats(rows: bytes) -> list[Example]:
    """The inverse of what the trainer uploads, as far as training needs it."""
    chats = [[message["content"] for message in json.loads(row)["messages"]] for row in rows.splitlines()]
    return [Example(f"row-{i}", "", i, "decide", asked, said, "uploaded") for i, (asked, said) in enumerate(chats)]


def reply_with(completions: list[Completion], mode: Mode, *, logprobs: bool = True) -> Reply:
    """Samples on the wire. An `LLM` tells the sum of its log-probabilities alone: the first token carries all of it."""
    choices = []
    for i, one in enumerate(completions):
        choice: dict[str, object] = {"index": i, "finish_reason": one.finish}
        choice |= {"message": {"role": "assistant", "content": one.text}} if mode == "chat" else {"text": one.text}
        if logprobs and one.logprob is not None:
            each = [one.logprob, *[0.0] * (one.tokens - 1)]
            choice["logprobs"] = (
                {"content": [{"logprob": value} for value in each]} if mode == "chat" else {"token_logprobs": each}
            )
        choices.append(choice)
    used = {"prompt_tokens": completions[0].prompt_tokens, "completion_tokens": sum(one.tokens for one in completions)}
    return Reply(200, {"choices": choices, "usage": used})


def listing(rows: "Iterator[dict[str, Any]] | list[dict[str, Any]]") -> Reply:
    return Reply(200, {"object": "list", "data": list(rows), "has_more": False})


@contextmanager
def serving(open_model: Callable[[str, Mode], LLM], folder: Path, train: Train = train_locally) -> Iterator[Service]:
    service = Service(open_model, folder, train)
    try:
        with serve(service.answer) as server:
            service.url = f"{server.url}/v1"
            yield service
    finally:
        service.close()

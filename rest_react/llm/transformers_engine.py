"""Runs a model in this process with transformers' continuous batching.

    engine = TransformersEngine("smollm2-135m-instruct", mode="completion")
    await engine.sample(Prompt("", state), n=4, sampling=Sampling(0.8, 128, seed=7))
    await engine.score(Prompt("", question), ["yes", "no"])

Requests join and leave the running batch at every token, so any number of trajectories can wait here at once. Blocks
of the key-value cache are shared by equal prefixes: the n samples of a prompt (they start once the first one's prompt
is in the cache) and the steps of a trajectory, whose states only grow.

A sample does not depend on the other requests in the batch (local_engine.seeded_draws).
Not here: settings (local_engine.settings), attention on a CPU (local_engine.cpu_attention), how prompts become tokens
(weights.tokens), and servers (openai_compatible, vllm_server).
"""

import asyncio
import gc
import itertools
import math
import threading
from collections.abc import Mapping, Sequence
from logging import CRITICAL, getLogger
from typing import Any, Literal

from rest_react.errors import ModelFault, UsageError, outside
from rest_react.llm.local_engine.delivery import deliver_to, finished, resolver
from rest_react.llm.local_engine.seeded_draws import Draw, draw_with, seeded_draws
from rest_react.llm.option_scores import log_sum, spellings
from rest_react.llm.token_ends import decoded_pieces, token_ends
from rest_react.records import Completion, OptionScores, Prompt, Sampling
from rest_react.seeds import derive_seed
from rest_react.weights import encode_completion, encode_prompt, resolve_weights
from rest_react.weights.attention import has_full_attention
from rest_react.weights.end_tokens import end_tokens
from rest_react.weights.number_type import NumberType, compute_type, stored_type

PAGE = 16


class TransformersEngine:
    """An LLM over local weights; loads them at the first call, gives the memory back in `aclose`."""

    def __init__(
        self,
        weights: str,
        *,
        mode: Literal["chat", "completion"],
        chat_template_kwargs: Mapping[str, object] | None = None,
        dtype: NumberType = "auto",
        device: Literal["auto", "cpu", "cuda"] = "auto",
        threads: int = 0,
        cache_tokens: int = 24576,
        batch_requests: int = 32,
        batch_tokens: int = 512,
        block: str = "policy",
    ) -> None:
        self._weights, self._mode, self._dtype, self._device, self._threads = weights, mode, dtype, device, threads
        self._template_kwargs = chat_template_kwargs
        self._block = block
        self._cache_tokens, self._batch_requests, self._batch_tokens = cache_tokens, batch_requests, batch_tokens
        self._loading = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._manager: Any = None
        self._on_cpu = True
        self._tokenizer: Any = None
        self._draws: dict[str, Draw] = {}
        self._requests = itertools.count()

    async def sample(self, prompt: Prompt, *, n: int, sampling: Sampling) -> list[Completion]:
        """n samples. Raises ModelFault if the prompt does not fit into the context, UsageError if it does not fit into
        the cache on a CPU, OutsideFault if the engine died."""
        ids = await self._encoded(prompt)
        draws = await self._generate(ids, [sampling] * n)
        return [self._completion(draw, len(ids)) for draw in draws]

    async def score(self, prompt: Prompt, options: Sequence[str]) -> OptionScores:
        """The log-probability of each option, over all its spellings. The prompt is read once; the tokens of the
        spellings are forced behind it. Raises the errors of `sample`."""
        ids = await self._encoded(prompt)
        spelled = [{tuple(encode_completion(self._tokenizer, text)[:-1]) for text in spellings(o)} for o in options]
        texts = [tokens for of_option in spelled for tokens in sorted(of_option)]
        forced = [(Sampling(0.0, len(tokens), seed=0), tokens) for tokens in texts]
        draws = await self._generate(ids, [how for how, _ in forced], [tokens for _, tokens in forced])
        logprobs = {tokens: math.fsum(draw.logprobs) for tokens, draw in zip(texts, draws, strict=True)}
        scores = tuple(log_sum([logprobs[tokens] for tokens in of_option]) for of_option in spelled)
        return OptionScores(scores, (), len(ids), sum(map(len, texts)))

    async def aclose(self) -> None:
        """Stops the engine and gives its memory back."""
        manager, self._manager = self._manager, None
        if manager is not None:
            await asyncio.to_thread(manager.stop, block=True, hard_stop=True)
            manager.model = None
            del manager
            gc.collect()
            _return_freed_memory()

    async def _encoded(self, prompt: Prompt) -> list[int]:
        """The tokens of a prompt. Starts the engine at the first call."""
        if self._manager is None:
            await asyncio.to_thread(self._start)
        self._loop = asyncio.get_running_loop()
        return encode_prompt(self._tokenizer, prompt, self._mode, self._template_kwargs)

    async def _generate(
        self, ids: Sequence[int], samplings: Sequence[Sampling], forced: Sequence[Sequence[int]] = ()
    ) -> list[Draw]:
        """One finished draw for each of `samplings`. They are one request as long as they draw the same."""
        assert self._loop is not None
        most = max(sampling.max_tokens for sampling in samplings)
        longest = len(ids) + most
        if longest > self._context:
            raise ModelFault(
                f"context too long: {len(ids)} prompt tokens and up to {most} new ones, but the model's "
                f"context is {self._context}"
            )
        if self._on_cpu and 2 * longest > self._cache_tokens:
            raise UsageError(
                f"{self._block}.cache_tokens={self._cache_tokens} is too small: a prompt needs {2 * longest}; raise it"
            )
        futures = [self._loop.create_future() for _ in samplings]
        self._submit([
            Draw(
                ids, derive_seed(how.seed, i), how.temperature, how.stop, how.max_tokens,
                resolver(self._loop, futures[i]), forced[i] if forced else (),
            )
            for i, how in enumerate(samplings)
        ])  # fmt: skip
        way_out = f". A smaller {self._block}.cache_tokens may help" if self._on_cpu else ""
        return [finished(await future, way_out) for future in futures]

    def _submit(self, draws: list[Draw]) -> None:
        """Hands samples that have drawn the same so far to the engine's thread, as one request; callable from that
        thread too."""
        first = draws[0]
        first.riders = draws[1:]
        request = f"r{next(self._requests)}"
        self._draws[request] = first
        accepted = self._manager.add_request(
            [*first.prompt, *first.tokens],
            request_id=request,
            max_new_tokens=first.limit - len(first.tokens),
            eos_token_id=self._eos,
        )
        if accepted is None:
            self._draws.pop(request)
            for draw in draws:
                draw.done(self._manager.background_thread_status.fatal_error or "the engine is stopping")

    def _completion(self, draw: Draw, prompt_tokens: int) -> Completion:
        tokens = draw.tokens
        ended = bool(tokens) and tokens[-1] in self._eos
        whole = self._tokenizer.decode(tokens[:-1] if ended else tokens, skip_special_tokens=True)
        text = whole
        for mark in draw.stop:
            text = text.split(mark, 1)[0]
        stopped = ended or text != whole  # the last token may complete a stop string
        text = text.encode("utf-8", "replace").decode("utf-8")
        logprobs = draw.logprobs
        ends = token_ends(text, decoded_pieces(self._tokenizer, tokens))[: len(logprobs)]
        return Completion(
            text, len(logprobs), sum(logprobs), "stop" if stopped else "length", prompt_tokens,
            ends, tuple(logprobs) if ends else (),
        )  # fmt: skip

    def _start(self) -> None:
        """Loads the weights and starts the engine's thread, once."""
        with self._loading:
            if self._manager is not None:
                return
            import torch
            from transformers import ContinuousBatchingConfig, GenerationConfig
            from transformers.utils import logging

            logging.disable_progress_bar()  # type: ignore[no-untyped-call]
            # What the engine has to say of a failure comes back with the failed requests.
            getLogger("ContinuousBatchingLogger").setLevel(CRITICAL)
            if self._threads:
                torch.set_num_threads(self._threads)
            model, self._tokenizer = self._load()
            on_cpu = self._on_cpu = model.device.type == "cpu"
            # Of a model that also reads images, the length stands in the configuration of its text part.
            length = getattr(model.config.get_text_config(), "max_position_embeddings", None)
            if length is None:
                raise UsageError(f"{self._weights}: config.json does not name max_position_embeddings; add it there")
            self._context = int(length)
            self._eos = end_tokens(self._tokenizer, model.generation_config.eos_token_id)
            if not self._eos:
                raise UsageError(
                    f"{self._weights} has no end-of-sequence token, so no sample would end; add one to its tokenizer "
                    "or generation config"
                )
            manager = model.init_continuous_batching(
                generation_config=GenerationConfig(  # type: ignore[no-untyped-call]
                    do_sample=False, eos_token_id=self._eos, pad_token_id=self._eos[0], max_new_tokens=16
                ),
                continuous_batching_config=ContinuousBatchingConfig(
                    page_size=PAGE if on_cpu else 256,
                    num_blocks=self._cache_tokens // PAGE if on_cpu else None,
                    max_batch_tokens=self._batch_tokens if on_cpu else None,
                    max_requests_per_batch=self._batch_requests,
                    allow_block_sharing=True,
                    max_memory_percent=0.9 if on_cpu else None,
                    use_async_batching=False,
                    use_cuda_graph=False,
                    max_blocks_per_request=0,
                ),
            )
            draw_with(manager, seeded_draws(self._draws, self._eos, self._tokenizer, self._submit))
            deliver_to(manager, self._draws)
            manager.start()
            self._manager = manager

    def _load(self) -> tuple[Any, Any]:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        from rest_react.llm.local_engine.cpu_attention import use_cpu_attention

        if self._device == "cuda" and not torch.cuda.is_available():
            raise UsageError(f"{self._block}.device=cuda, but torch sees no GPU; use device=auto or device=cpu")
        device = "cuda" if self._device != "cpu" and torch.cuda.is_available() else "cpu"
        folder = resolve_weights(self._weights)
        with outside(f"loading {self._weights}"):
            dtype = compute_type(self._dtype, gpu=device == "cuda", stored=stored_type(folder))
            model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="sdpa")
            model.to(device)
            tokenizer = AutoTokenizer.from_pretrained(folder)
        if device == "cpu" and has_full_attention(model.config):
            use_cpu_attention(model)
        return model, tokenizer


def _return_freed_memory() -> None:
    """torch and glibc keep what was freed to themselves; fine-tuning, another process, needs it next."""
    import ctypes
    import ctypes.util

    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    name = ctypes.util.find_library("c")
    if name is not None and hasattr(libc := ctypes.CDLL(name), "malloc_trim"):
        libc.malloc_trim(0)

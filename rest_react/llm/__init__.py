"""Clients of language models. A new one is a file with its settings and its client, and its settings' name here."""

from typing import TypeAlias

from rest_react.llm.gemini import GeminiModel
from rest_react.llm.local_engine.settings import TransformersModel
from rest_react.llm.openai_api.settings import OpenAIModel
from rest_react.llm.vllm.settings import VllmModel

LanguageModel: TypeAlias = TransformersModel | OpenAIModel | VllmModel | GeminiModel

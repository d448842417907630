"""Hosted fine-tuning: an OpenAI-shaped API trains on a GPU of its provider.

    HostedTrainer(base_url="https://api.openai.com/v1", api_key_env="OPENAI_API_KEY", hyperparameters={"n_epochs": 3})

Not here: training on this machine (training.local).
"""

from rest_react.training.hosted.settings import HostedFinetune
from rest_react.training.hosted.trainer import HostedTrainer

__all__ = ["HostedFinetune", "HostedTrainer"]

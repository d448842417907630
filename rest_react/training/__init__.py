"""Trainers. A new one is a file with its settings and its trainer, and its settings' name in `Finetune`."""

from typing import TypeAlias

from rest_react.training.dpo import DpoFinetune
from rest_react.training.dry_run import DryFinetune
from rest_react.training.hosted import HostedFinetune
from rest_react.training.local import LocalFinetune

Finetune: TypeAlias = LocalFinetune | DpoFinetune | HostedFinetune | DryFinetune

"""Makes a model's generation config one that transformers saves.

    saveable(model)        # `temperature: 0.9` without `do_sample` gets `do_sample: true`

Some models are published with a temperature, but without `do_sample`. transformers warns about that when it loads them,
and refuses to save them once anything else in the config has changed. Every request of this package has its own
temperature, so the flag has no effect on them.
Not here: the tokens that end a turn (saving.publish).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def saveable(model: "PreTrainedModel") -> None:
    """Sets `do_sample` if the config is not valid without it."""
    config = model.generation_config
    try:
        config.validate(strict=True)
    except ValueError:
        config.do_sample = True

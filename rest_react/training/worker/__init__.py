"""The processes that train: one module for each way of training, started by `training.launch`.

    python -m accelerate.commands.launch ... -m rest_react.training.worker.supervised <folder>/job.json

TRL gets rows that are tokenised and in their final order; it neither shuffles nor cuts them. The same job on the same
number of threads gives the same bytes on a CPU, interrupted or not. Weights are trained in float32 (under bfloat16
autocast on a GPU, where a LoRA's frozen base is bfloat16 as well) and published in the base's own type.
Not here: starting and watching the process, and which checkpoint it resumes from (training.launch, training.job).
"""

"""The training processes: one module per training method, started by `training.process.launch`.

    python -m rest_react.training.worker.supervised <folder>/job.json

TRL gets tokenised rows in their final order; it neither shuffles nor truncates them. On a CPU, the same job with the
same number of threads gives the same bytes, interrupted or not. Weights are trained in float32 (with bfloat16 autocast
by the setting `dtype`; on a GPU, a LoRA's frozen base is then in bfloat16, or in four bits by `load_in_4bit`) and
published in the base's data type, or in float32 where rounding would undo part of the training.
Not here: starting and watching the process, and which checkpoint it resumes from (training.process).
"""

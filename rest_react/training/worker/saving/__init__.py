"""How a trained model comes to disk: snapshots, whole weights from shards, a merged LoRA, the published folder.

    publish(base, folder / "trained", tokenizer, folder / "loss.jsonl")      # folder/model

Not here: checkpoints, from which a training resumes (worker.callbacks, training.process.checkpoints).
"""

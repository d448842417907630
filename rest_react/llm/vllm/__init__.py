"""vLLM servers that a run starts and stops.

The settings (settings) open the client (vllm_server); the other modules write the command, start the process, read its
log and divide the GPUs.
Not here: the protocol of its API (llm.openai_api).
"""

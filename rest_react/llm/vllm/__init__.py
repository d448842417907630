"""vLLM servers that a run starts and stops.

The settings and the client are in vllm_server; the other modules start the process, read its log and divide the GPUs.
Not here: the protocol of its API (llm.openai_api).
"""

"""Clients of the OpenAI protocol: any server at a `base_url`.

The client is openai_compatible; the other modules read its replies and its refusals.
Not here: servers that the run starts itself (llm.vllm).
"""

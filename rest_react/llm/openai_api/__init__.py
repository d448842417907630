"""Clients of the OpenAI protocol: any server at a `base_url`.

The settings (settings) open the client (openai_compatible); the other modules make its requests and read its replies
and its refusals.
Not here: servers that the run starts itself (llm.vllm).
"""

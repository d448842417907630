"""Tool makers: a strong model writes one Python function for a class of questions, a small model calls it.

    make_tool(...)               # propose, verify, wrap (making)
    ToolMaker(...).rollout(...)  # dispatch, use (task)

After "Large Language Models as Tool Makers" (arXiv 2305.17126); prompts, questions and code are this project's own.
Not here: tasks in which a model answers by itself (tasks.search_qa, tasks.completion).
"""

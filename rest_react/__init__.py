"""ReST meets ReAct: a search agent that is fine-tuned on its own best steps (arXiv 2312.10003).

loop has the order of the stages and is the best place to start reading; docs/architecture.md has the tree, and
where to change what.
"""

"""Self-improving search agents: an open implementation of "ReST meets ReAct" (arXiv 2312.10003)."""

__version__ = "0.1.0"

"""Search question answering: the agent searches, selects links, writes an answer with citations and checks it.

    violations(Answer("", "Ada Mell was born in 1820 [link_id=4]."), question, past)     # judging.verifier

Not here: search engines (search) and the order of the stages (loop).
"""

"""A trajectory of the search agent for readers: conversation for pages and the terminal, messages as a chat with tools.

Not here: the state for the model (tasks.search_qa.render_state).
"""

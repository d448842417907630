"""Questions that stand in two sets: the same one-line questions (`overlap`), and texts that nearly repeat each other
(`near_duplicates`).

Not here: what is done about them (build.shared_questions, stages.synthesise).
"""

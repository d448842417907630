"""What is right about a step or a trajectory of the search agent, by rules: no label and no model is asked.

verifier has the rules, evidence what a trajectory offers to the label-free signals, corruptions the errors for a judge.
Not here: who is right by an answer key (judges).
"""

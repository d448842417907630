"""What a command prints on the terminal: lines without secrets, and the progress of a stage.

Not here: results and tables (reporting), and Ctrl-C (processes.command).
"""

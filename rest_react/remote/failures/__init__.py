"""What the failed call of a server says: whose fault it is, how long to wait, which setting cures it.

error_replies parses the reply, error_meanings classifies it; refusals stops a stage whose model refuses everything.
Not here: trying again (remote.retry).
"""

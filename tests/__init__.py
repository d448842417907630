"""A machine with other work is slow, not wrong: no example of a property has a deadline."""

from hypothesis import settings

settings.register_profile("patient", deadline=None)
settings.load_profile("patient")

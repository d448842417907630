"""Tests against servers that we did not write. `make servers` installs these and runs the tests; `make test` leaves
them out. docs/servers.md says what was seen."""

"""One module a command: its name is the command's, its function ``command`` the command's arguments and help.

A module imports what it computes with inside that function, so that ``sciml --help`` is immediate.
"""

"""The command ``sciml``."""

from sciml.cli.application import main as main

__all__ = ["main"]

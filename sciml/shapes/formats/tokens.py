"""The words of a text file, one after another."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciml.errors import InputError


class Tokens:
    """Words separated by white space; every wish that the file cannot meet is an InputError that says where."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.words = text(path).split()
        self.place = 0

    def __bool__(self) -> bool:
        return self.place < len(self.words)

    def word(self, what: str) -> str:
        return self._take(1, what)[0]

    def integer(self, what: str, least: int = 0) -> int:
        word = self.word(what)
        try:
            number = int(word)
        except ValueError:
            raise InputError(f"{self.path}: {what} must be a whole number, got {word!r}") from None
        if number < least:
            raise InputError(f"{self.path}: {what} must be at least {least}, got {number}")
        return number

    def integers(self, count: int, what: str) -> np.ndarray:
        return self._numbers(count, what, np.int64)

    def floats(self, count: int, what: str) -> np.ndarray:
        return self._numbers(count, what, np.float64)

    def end(self) -> None:
        if self:
            raise InputError(
                f"{self.path}: {len(self.words) - self.place} words are left over from {self.words[self.place]!r} on; "
                "one of the counts is wrong"
            )

    def _numbers(self, count: int, what: str, kind: type) -> np.ndarray:
        words = self._take(count, what)
        try:
            return np.array(words, dtype=kind)
        except (ValueError, OverflowError):
            raise InputError(f"{self.path}: {what} must be {count} numbers, got {' '.join(words[:8])}") from None

    def _take(self, count: int, what: str) -> list[str]:
        words = self.words[self.place : self.place + count]
        if len(words) < count:
            raise InputError(f"{self.path} ends within {what}: {len(words)} words are left of {count}")
        self.place += count
        return words


def text(path: Path) -> str:
    """The content of a text file; raises InputError."""
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error

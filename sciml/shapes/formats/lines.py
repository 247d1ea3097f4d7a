"""Text files in which every line has a stated number of words."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sciml.errors import InputError


class Lines:
    """The lines that are not blank, one after another; an unexpected one is an InputError with its number."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = [(number, line.split()) for number, line in enumerate(_text(path).split("\n"), 1) if line.strip()]
        self.place = 0

    def words(self, what: str, count: int | None = None) -> list[str]:
        """The words of the next line, ``count`` of them."""
        if self.place == len(self.rows):
            raise InputError(f"{self.path} ends before {what}; the file is cut off or a count in it is too large")
        _, words = self.rows[self.place]
        self.place += 1
        if count is not None and len(words) != count:
            raise self.error(f"{what} must be {count} words, got {len(words)}: a count is wrong or the file is cut off")
        return words

    def integers(self, what: str, count: int, least: int = 0) -> list[int]:
        numbers = self.numbers(self.words(what, count), what, np.int64).tolist()
        if min(numbers) < least:
            raise self.error(f"{what} must be at least {least}, got {min(numbers)}")
        return numbers

    def table(self, what: str, rows: int, columns: int, kind: type = np.float64) -> np.ndarray:
        """The next lines as an array (rows, columns)."""
        lines = [self.words(f"{what} {row}", columns) for row in range(rows)]
        return self.numbers([word for line in lines for word in line], what, kind).reshape(rows, columns)

    def numbers(self, words: list[str], what: str, kind: type) -> np.ndarray:
        try:
            return np.array(words, dtype=kind)
        except (ValueError, OverflowError) as error:
            name = "whole numbers" if kind is np.int64 else "numbers"
            raise self.error(f"{what} must be {name} ({error})") from None

    def end(self) -> None:
        if self.place < len(self.rows):
            self.place += 1
            raise self.error("nothing should follow here; a count before it is wrong")

    def error(self, text: str) -> InputError:
        """An error about the line that was read last."""
        return InputError(f"{self.path}, line {self.rows[self.place - 1][0]}: {text}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except UnicodeDecodeError:
        raise InputError(f"{path} is not a text file") from None
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error

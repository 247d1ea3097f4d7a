"""What a run has solved, on disk, so that a later run goes the same way without solving it again."""

from __future__ import annotations

import json
import os
from collections import deque
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.solvers.experts import parallel
from sciml.solvers.experts.basis import Legendre
from sciml.solvers.experts.boxes import Boxes
from sciml.solvers.experts.terms import Solved, State

EVERY = 1.0  # seconds between two files


class Entry(NamedTuple):
    """One solve: its boxes and degree, what was found, and the seconds that the run had spent by then."""

    boxes: Boxes
    degree: int
    solved: Solved
    seconds: float


class Journal:
    """The solves of a run in their order, rejected ones included.

    Nothing in a run is drawn at random: one that takes its first solves from the journal of an earlier run makes the same
    choices, and goes on exactly where that one ended.

    Args:
        folder: where to write ``000000.safetensors`` and so on, each named after the first of its solves.
        resume: folder of an earlier run's journal, the same one or one to be copied.

    Raises:
        InputError: ``resume`` holds no journal, or one that cannot be read.

    Attributes:
        iterations: of Gauss-Newton in all solves so far.
        earlier: seconds that the earlier run had spent.
        fresh: whether the last solve was made here.
    """

    def __init__(self, folder: Path | None = None, resume: Path | None = None) -> None:
        self.folder = folder if parallel.rank() == 0 else None  # one process writes for all
        self.iterations, self.fresh = 0, True
        self._ahead = deque([] if resume is None else _read(resume))
        self.earlier = self._written = self._ahead[-1].seconds if self._ahead else 0.0
        self._copies, self._count, self._new = folder != resume, 0, list[Entry]()
        if self.folder is not None and self._copies:
            for file in self.folder.glob("*.safetensors"):
                file.unlink()

    @property
    def ahead(self) -> bool:
        """Whether the earlier run solved something that this one has yet to come to."""
        return bool(self._ahead)

    def recall(self, boxes: Boxes, basis: Legendre) -> Entry | None:
        """The earlier run's next solve, None once there are no more.

        Raises:
            InputError: it was on other boxes or of another degree.
        """
        if not self._ahead:
            return None
        entry = self._ahead.popleft()
        low, high = entry.boxes.low.to(boxes.low), entry.boxes.high.to(boxes.low)
        same = entry.degree == basis.degree and low.shape == boxes.low.shape
        if not same or torch.cat([low - boxes.low, high - boxes.high]).abs().max() > 1e-9 * boxes.half.max():
            raise InputError(
                f"solve {self._count} of the checkpoint was on other boxes than this run chooses: the problem or sciml has "
                "changed; start a new run"
            )
        self._enter(entry, fresh=False)
        coefficients, shared = entry.solved.state
        state = State(coefficients.to(boxes.low), shared.to(boxes.low))
        return entry._replace(solved=Solved(state, entry.solved.iterations, entry.solved.settled))

    def keep(self, boxes: Boxes, basis: Legendre, solved: Solved, seconds: float) -> None:
        """Add a solve that ended when the run had spent ``seconds``."""
        self._enter(Entry(boxes, basis.degree, solved, seconds), fresh=True)
        if seconds - self._written >= EVERY:
            self._written = seconds
            self.flush()

    def flush(self) -> None:
        """Write what is not on disk yet, in one stroke."""
        if self.folder is None or not self._new:
            return
        from safetensors.torch import save

        tensors: dict[str, Tensor] = {}
        facts = []
        for place, (boxes, degree, solved, seconds) in enumerate(self._new):
            parts = {"low": boxes.low, "high": boxes.high, **solved.state._asdict()}
            tensors |= {f"{place}.{name}": part.detach().cpu().contiguous().clone() for name, part in parts.items()}
            facts.append({"degree": degree, "iterations": solved.iterations, "settled": solved.settled, "seconds": seconds})
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self._count - len(self._new):06d}.safetensors"
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            file.write(save(tensors, {"solves": json.dumps(facts)}))
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
        self._new = []

    def _enter(self, entry: Entry, fresh: bool) -> None:
        self.fresh, self._count, self.iterations = fresh, self._count + 1, self.iterations + entry.solved.iterations
        if self.folder is not None and (fresh or self._copies):
            self._new.append(entry)


def _read(folder: Path) -> list[Entry]:
    from safetensors import SafetensorError, safe_open

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise InputError(f"there is no checkpoint in {folder}; start a new run")
    entries = []
    for path in files:
        try:
            with safe_open(path, "pt") as file:
                for place, facts in enumerate(json.loads((file.metadata() or {})["solves"])):
                    names = ("low", "high", *State._fields)
                    low, high, *state = (file.get_tensor(f"{place}.{name}") for name in names)
                    solved = Solved(State(*state), int(facts["iterations"]), bool(facts["settled"]))
                    entries.append(Entry(Boxes(low, high), int(facts["degree"]), solved, float(facts["seconds"])))
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise InputError(f"the checkpoint {path} cannot be read: {type(error).__name__}: {error}") from error
    return entries

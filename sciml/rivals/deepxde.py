"""DeepXDE (Lu et al., SIAM Review 63, 2021) as a rival, in a process of its own: see ``translation``."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sciml.errors import InputError, SciMLError
from sciml.registry import describe
from sciml.rivals.rival import Outcome, Rival

if TYPE_CHECKING:
    from sciml.problem import Problem


def solve(problem: Problem, seconds: float, seed: int) -> Outcome:
    """Train DeepXDE's network for ``seconds``; the start of its process comes on top.

    Raises:
        InputError: the problem cannot be described to another process.
        SciMLError: DeepXDE failed.
    """
    described = describe(problem)
    if described.get("not_recorded"):
        lost = ", ".join(described["not_recorded"])
        raise InputError(f"DeepXDE runs in another process, which cannot be given {lost} of the problem")
    asked = {"problem": described, "seconds": seconds, "seed": seed, "threads": torch.get_num_threads()}
    with tempfile.TemporaryDirectory() as folder:
        request = Path(folder) / "request.json"
        request.write_text(json.dumps(asked), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-m", "sciml.rivals.translation", str(request)],
            env=os.environ | {"DDE_BACKEND": "pytorch"},
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            reason = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
            raise SciMLError(f"DeepXDE failed: {reason}")
        return Outcome(**json.loads(request.read_text(encoding="utf-8")))


deepxde = Rival(solve, random=True)

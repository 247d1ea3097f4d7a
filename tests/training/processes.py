"""Two processes on the CPU, started as torchrun does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def run_two(folder: Path, module: str) -> None:
    """Call ``work(folder)`` of the module of tests in two processes, and wait for both."""
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r})\nfrom pathlib import Path\nfrom {module} import work\n"
    (folder / "program.py").write_text(f"{program}work(Path({str(folder)!r}))\n")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    subprocess.run([*command, str(folder / "program.py")], cwd=ROOT, check=True, timeout=300)

"""The page in a real browser, where there is one."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pytest

from sciml.shapes import reconstruct, slice_mesh, write_viewer
from tests.shapes.solids import torus

BROWSER = next(filter(None, map(shutil.which, ("chromium-headless-shell", "chromium", "google-chrome"))), None)
FLAGS = [
    "--headless", "--no-sandbox", "--enable-unsafe-swiftshader", "--use-gl=angle", "--use-angle=swiftshader",
    "--window-size=400,300", "--virtual-time-budget=3000",
]  # fmt: skip


def blue(folder, page):
    """Pixels in the surface's colour, as (row, column)."""
    from matplotlib.image import imread

    (folder / "page.html").write_text(page)
    command = [BROWSER, *FLAGS, f"--user-data-dir={folder}/user", f"--screenshot={folder}/page.png", f"{folder}/page.html"]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    red, _, colour = imread(folder / "page.png")[..., :3].transpose(2, 0, 1)
    return np.argwhere(colour > 1.5 * red)


@pytest.mark.skipif(BROWSER is None, reason="no browser")
def test_the_surface_is_drawn_turned_and_hidden(tmp_path):
    slices = slice_mesh(torus(), 7, (0, 0, 1))
    write_viewer(tmp_path / "viewer.html", slices, {"torus": reconstruct(slices, "linear").mesh(24)})
    page = (tmp_path / "viewer.html").read_text()
    seen = blue(tmp_path, page)
    assert len(seen) > 5000
    height = np.ptp(seen[:, 0])
    drag = """<script>
      canvas.setPointerCapture = () => {};
      const move = (kind, y) => canvas.dispatchEvent(new PointerEvent(kind, {pointerId: 1, clientX: 200, clientY: y}));
      move("pointerdown", 100); move("pointermove", 220); move("pointerup", 220);
    </script>"""
    turned = blue(tmp_path, page.replace("</body>", drag + "</body>"))
    assert np.ptp(turned[:, 0]) > 1.2 * height  # seen from above the ring is round
    hide = "<script>document.querySelector('input').click();</script>"
    assert len(blue(tmp_path, page.replace("</body>", hide + "</body>"))) < 300  # the other box

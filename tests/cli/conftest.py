from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch, plugin):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"

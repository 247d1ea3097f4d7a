from __future__ import annotations

from dataclasses import dataclass

import pytest

from sciml.errors import InputError
from sciml.problem import Parameter
from sciml.registry import describe, get_problem, get_solver, name_of, problems, snake_case
from sciml.settings import build, settings_of
from tests.fakes import Plate, Rod


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Heat", "heat"), ("KleinGordon", "klein_gordon"), ("PINN", "pinn"), ("DRIFTNet", "drift_net")],
)
def test_snake_case(name, expected):
    assert snake_case(name) == expected


def test_a_class_may_state_its_name():
    class Wave2D:
        name = "wave_2d"

    assert name_of(Wave2D) == "wave_2d"


def test_another_package_registers_by_entry_point(plugin):
    assert problems()["plate"] is Plate
    assert get_solver("formula").options == ["scale", "network"]
    assert get_problem("plate", {"waves": "2"}) == Plate(waves=2)


def test_an_entry_point_may_be_a_module(plugin, monkeypatch):
    (plugin / "more_problems.py").write_text("from tests.fakes import Plate, Rod\n__all__ = ['Rod']\n")
    (plugin / "another_package-1.0.dist-info" / "entry_points.txt").write_text("[sciml.problems]\nx = more_problems\n")
    assert problems()["rod"] is Rod and "plate" not in problems()


def test_a_broken_package_stops_nothing_else(plugin):
    entries = plugin / "another_package-1.0.dist-info" / "entry_points.txt"
    entries.write_text("[sciml.problems]\nlost = no_such_module:Lost\nplate = tests.fakes:Plate\n")
    with pytest.warns(UserWarning, match="no_such_module:Lost cannot be loaded"):
        assert "plate" in problems()


def test_what_is_described_can_be_built_again(plugin):
    problem = Plate(amplitude=3, centre=(0.4, 0.5), conductivity=Parameter(2.0, positive=True))
    described = describe(problem)
    assert described["name"] == "plate" and "not_recorded" not in described
    assert get_problem(described["name"], described["settings"]) == problem


def test_the_class_of_a_script_is_not_sought_by_running_it_again(plugin, monkeypatch):
    monkeypatch.setattr(Rod, "__module__", "__main__")
    assert describe(Rod()) == {"name": "rod", "settings": {}, "not_recorded": ["the class itself"]}


def test_a_function_cannot_be_described():
    @dataclass(frozen=True)
    class Source:
        source: object = None
        level: float = 1.0

    assert settings_of(Source()) == ({"level": 1.0}, [])
    assert settings_of(Source(source=abs)) == ({"level": 1.0}, ["source"])


def test_none_that_is_not_the_default_cannot_be_described():
    @dataclass(frozen=True)
    class Limit:
        limit: float | None = 1.0

    assert settings_of(Limit(None)) == ({}, ["limit"])
    assert build(Limit, {"limit": "none"}) == Limit(None)


def test_settings_of_a_plain_class():
    class Heat:
        def __init__(self, alpha: float = 0.1, *, modes: int = 3) -> None:
            self.alpha, self.modes = alpha, modes

    heat = build(Heat, {"alpha": "0.5", "modes": "4"})
    assert (heat.alpha, heat.modes) == (0.5, 4) and settings_of(heat) == ({"alpha": 0.5, "modes": 4}, [])


def test_toml_values_are_checked_too():
    assert build(Plate, {"amplitude": 2, "centre": [0.4, 0.5]}) == Plate(amplitude=2.0, centre=(0.4, 0.5))
    with pytest.raises(InputError, match="a whole number"):
        build(Plate, {"waves": 1.5})


def test_what_the_class_itself_refuses_is_the_users_mistake():
    with pytest.raises(InputError, match="must be positive"):
        build(Parameter, {"start": "-1", "positive": "true"})

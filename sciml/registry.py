"""Problems, solvers and operators by name: ours, other packages' (entry points) and a user's own file.

An entry point of the group ``sciml.problems``, ``sciml.solvers`` or ``sciml.operators`` names one object
(``heat = "package.module:Heat"``) or a module (``package = "package"``), which then offers all of its ``__all__``.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from sciml.errors import InputError, nearest
from sciml.settings import build, settings_of

if TYPE_CHECKING:
    from sciml.problem import Problem

# Our own packages by group: found without their entry points too, as in a checkout that is not installed.
OURS = {"problems": "problems", "solvers": "sciml.recipes", "operators": "operators"}

# Arguments that every recipe takes.
STANDARD = (
    "problem", "seconds", "steps", "seed", "device", "folder", "resume", "progress", "callbacks", "loggers",
)  # fmt: skip


@dataclass(frozen=True)
class Recipe:
    """What the name of a solver stands for.

    Attributes:
        solve: ``solve(problem, *, <STANDARD>, <options>) -> Result`` chooses networks, phases and points for any
            problem; the first line of its docstring describes it.
        solver: the class that ``solver.from_configuration(problem, configuration)`` rebuilds from a saved run.
    """

    solve: Callable[..., Any]
    solver: type

    @property
    def options(self) -> list[str]:
        """Names of the options that are the recipe's own."""
        return [name for name in inspect.signature(self.solve).parameters if name not in STANDARD]


def problems() -> dict[str, type[Problem]]:
    """Every registered problem class by name."""
    from sciml.problem import Problem

    return _registered("problems", lambda item: isinstance(item, type) and issubclass(item, Problem))


def families() -> dict[str, type[Problem]]:
    """Every registered problem with random data."""
    from sciml.problem import RandomProblem

    return {name: problem for name, problem in problems().items() if issubclass(problem, RandomProblem)}


def solvers() -> dict[str, Recipe]:
    """Every registered solver by name."""
    return _registered("solvers", lambda item: isinstance(item, Recipe))


def operators() -> dict[str, type]:
    """Every registered operator network by name."""
    from torch import nn

    return _registered("operators", lambda item: isinstance(item, type) and issubclass(item, nn.Module))


def get_solver(name: str) -> Recipe:
    """The solver called ``name``; raises InputError with the nearest names."""
    return _get("solver", name, solvers())


def get_operator(name: str) -> type:
    """The operator network called ``name``; raises InputError with the nearest names."""
    return _get("operator", name, operators())


def get_problem(specification: str, settings: Mapping[str, Any] | None = None) -> Problem:
    """The problem called ``specification``, a registered name or ``FILE.py:ClassName``, with ``settings`` by name.

    Raises InputError for an unknown name (with the nearest ones), a file without such a problem, or a wrong setting.
    """
    if ".py" in specification:
        kind = _from_file(specification)
    else:
        kind = _get("problem", specification, problems(), " (or give your own as FILE.py:ClassName)")
    return build(kind, settings or {})


def get_family(specification: str, settings: Mapping[str, Any] | None = None) -> Problem:
    """As ``get_problem``, but an unknown name is answered with the nearest families of data."""
    if ".py" not in specification and specification not in problems():
        _get("family of data", specification, families(), " (or give your own as FILE.py:ClassName)")
    return get_problem(specification, settings)


def describe(problem: Problem) -> dict[str, Any]:
    """What ``get_problem`` rebuilds ``problem`` from: ``name``, ``settings`` and, where it cannot, ``not_recorded``."""
    kind = type(problem)
    settings, lost = settings_of(problem)
    name = next((name for name, registered in problems().items() if registered is kind), None)
    if name is None:
        file = getattr(sys.modules.get(kind.__module__), "__file__", None)
        # a script must not be run again to find its class, and a class within a function cannot be found
        if file is None or kind.__module__ == "__main__" or "." in kind.__qualname__:
            name, lost = name_of(kind), [*lost, "the class itself"]
        else:
            name = f"{Path(file).resolve()}:{kind.__name__}"
    return {"name": name, "settings": settings} | ({"not_recorded": lost} if lost else {})


def name_of(kind: type) -> str:
    """``KleinGordon`` -> "klein_gordon", unless the class states its own ``name``."""
    stated = vars(kind).get("name")
    return stated if isinstance(stated, str) else snake_case(kind.__name__)


def snake_case(name: str) -> str:
    """``KleinGordon`` -> "klein_gordon", ``PINN`` -> "pinn"."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _get(kind: str, name: str, found: Mapping[str, Any], hint: str = "") -> Any:
    if not isinstance(name, str):
        raise InputError(f"{kind} must be given by its name, got {type(name).__name__}")
    if name not in found:
        raise InputError(f"there is no {kind} {name!r}; {nearest(name, found)}{hint}")
    return found[name]


def _registered(group: str, accepts: Callable[[Any], bool]) -> dict[str, Any]:
    entries = importlib.metadata.entry_points(group=f"sciml.{group}")
    found: dict[str, Any] = {}
    for entry in entries:
        if entry.value == OURS[group]:
            continue
        try:
            loaded = entry.load()
        except Exception as error:  # what another package broke must not stop everything else
            warnings.warn(f"{entry.value} cannot be loaded from {group}: {type(error).__name__}: {error}", stacklevel=3)
            continue
        found |= _offered(loaded, accepts) if isinstance(loaded, ModuleType) else {entry.name: loaded}
    found |= _offered(importlib.import_module(OURS[group]), accepts)
    return dict(sorted(found.items()))


def _offered(module: ModuleType, accepts: Callable[[Any], bool]) -> dict[str, Any]:
    offered = {name: getattr(module, name) for name in getattr(module, "__all__", [])}
    return {name_of(item) if isinstance(item, type) else name: item for name, item in offered.items() if accepts(item)}


def _from_file(specification: str) -> type[Problem]:
    from sciml.problem import Problem

    file, _, name = specification.rpartition(":") if not specification.endswith(".py") else (specification, "", "")
    path = Path(file)
    if not path.is_file():
        raise InputError(f"there is no file {file!r}; give a problem of your own as FILE.py:ClassName")
    module = _execute(path)
    classes = {key: item for key, item in vars(module).items() if isinstance(item, type) and item is not Problem}
    own = [k for k, item in classes.items() if issubclass(item, Problem) and item.__module__ == module.__name__]
    if not name:
        raise InputError(f"name the class in {file} too, as in {file}:{(own or ['ClassName'])[0]}")
    if name not in classes:
        raise InputError(f"{file} has no class {name!r}; {nearest(name, own)}")
    if not issubclass(classes[name], Problem):
        raise InputError(f"{name} in {file} is not a problem; declare it as class {name}(sciml.Problem)")
    return classes[name]


def _execute(path: Path) -> ModuleType:
    name = f"sciml_file_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path.resolve())
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses look their module up while they are being made
    sys.path.insert(0, str(path.resolve().parent))  # the file may import its neighbours, as when run as a script
    try:
        specification.loader.exec_module(module)
    except Exception as error:
        del sys.modules[name]
        kind = "" if isinstance(error, InputError) else f"{type(error).__name__}: "
        raise InputError(f"{path} cannot be imported: {kind}{error}") from error
    finally:
        sys.path.remove(str(path.resolve().parent))
    return module

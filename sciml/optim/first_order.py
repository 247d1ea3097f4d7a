"""Methods that take one gradient an iteration."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sciml.errors import InputError
from sciml.nn.sharding import is_share, share_like
from sciml.optim.optimiser import Objective, Optimiser, Step, flatten, gradient_of, loss_and_gradient, shift


class FirstOrder(Optimiser):
    """Has a learning rate, which a schedule may scale."""

    stochastic: ClassVar[bool] = True

    @abstractmethod
    def scale_learning_rate(self, factor: float) -> None:
        """Set the learning rate to ``factor`` times the configured one."""


def check_learning_rate(settings: Any) -> None:
    """Raises InputError unless ``settings.learning_rate`` is a positive number."""
    rate = settings.learning_rate
    if not isinstance(rate, (int, float)) or not rate > 0:
        raise InputError(f"{type(settings).__name__}(learning_rate={rate!r}) must be a positive number")


@dataclass(frozen=True)
class Adam:
    """Adam (Kingma & Ba 2015).

    Raises:
        InputError: a learning rate that is not positive.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8

    def __post_init__(self) -> None:
        check_learning_rate(self)

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        return _Adam(parameters, self)


class _Adam(FirstOrder):
    """On one vector of all parameters: a few kernels, whatever the number of layers."""

    def __init__(self, parameters: list[Tensor], settings: Adam) -> None:
        super().__init__(parameters)
        self._settings, self._learning_rate = settings, settings.learning_rate
        self._count = 0
        self._mean = torch.zeros_like(flatten(parameters))
        self._square = torch.zeros_like(self._mean)

    def scale_learning_rate(self, factor: float) -> None:
        self._learning_rate = factor * self._settings.learning_rate

    def step(self, objective: Objective) -> Step:
        loss, gradients = loss_and_gradient(objective)
        gradient, (first, second) = flatten(gradients), self._settings.betas
        self._count += 1
        self._mean.lerp_(gradient, 1 - first)
        self._square.mul_(second).addcmul_(gradient, gradient, value=1 - second)
        spread = self._square.sqrt().div_((1 - second**self._count) ** 0.5).add_(self._settings.epsilon)
        shift(self.parameters, self._mean / spread, -self._learning_rate / (1 - first**self._count))
        return Step(loss)

    def state_dict(self) -> dict[str, Any]:
        return {"count": self._count, "mean": self._mean, "square": self._square}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._count = state["count"]
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])


@dataclass(frozen=True)
class Torch:
    """Any optimiser of PyTorch's interface: ``Torch(lambda parameters: torch.optim.RAdam(parameters, lr=1e-3))``."""

    create: Callable[[list[Tensor]], torch.optim.Optimizer]

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        return _Torch(parameters, self.create(parameters))


@dataclass(frozen=True)
class AdamW:
    """Adam with decoupled weight decay (Loshchilov & Hutter, arXiv 1711.05101), for large networks.

    Attributes:
        weight_decay: of matrices and kernels; vectors (biases, scales) do not decay.
        clip: largest norm of the gradient; a longer one is shortened to it. None leaves it.
        loss_scaling: multiply the loss by a factor that adapts, so that gradients in float16 neither vanish nor overflow
            (Micikevicius et al., arXiv 1710.03740); a step whose gradient overflows is left out.

    Raises:
        InputError: a learning rate that is not positive.
    """

    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.999)
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    clip: float | None = None
    loss_scaling: bool = False

    def __post_init__(self) -> None:
        check_learning_rate(self)

    def build(self, parameters: list[Tensor]) -> FirstOrder:
        groups = [
            {"params": [p for p in parameters if p.ndim > 1], "weight_decay": self.weight_decay},
            {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
        ]
        # many tensors a kernel, which PyTorch by default does with whole tensors only
        foreach = True if is_share(parameters[0]) else None
        optimizer = torch.optim.AdamW(groups, self.learning_rate, self.betas, self.epsilon, foreach=foreach)
        scaler = torch.amp.GradScaler(parameters[0].device.type) if self.loss_scaling else None
        return _Torch(parameters, optimizer, self.clip, scaler)


class _Torch(FirstOrder):
    def __init__(
        self,
        parameters: Sequence[Tensor],
        optimizer: torch.optim.Optimizer,
        clip: float | None = None,
        scaler: torch.amp.GradScaler | None = None,
    ) -> None:
        super().__init__(parameters)
        self._optimizer, self._clip, self._scaler = optimizer, clip, scaler
        self._learning_rates = [group["lr"] for group in optimizer.param_groups]

    def scale_learning_rate(self, factor: float) -> None:
        for group, learning_rate in zip(self._optimizer.param_groups, self._learning_rates, strict=True):
            group["lr"] = factor * learning_rate

    def step(self, objective: Objective) -> Step:
        if self._scaler is not None:
            return self._scaled_step(objective, self._scaler)

        def closure() -> Tensor:
            loss, gradients = loss_and_gradient(objective)
            self._receive(gradients)
            self._shorten()
            return loss

        return Step(self._optimizer.step(closure))  # type: ignore[arg-type]

    def _scaled_step(self, objective: Objective, scaler: torch.amp.GradScaler) -> Step:
        loss = objective.loss()
        self._receive(gradient_of(scaler.scale(loss), self.parameters))
        scaler.unscale_(self._optimizer)
        self._shorten()
        scaler.step(self._optimizer)
        scaler.update()
        return Step(loss.detach())

    def _receive(self, gradients: Sequence[Tensor]) -> None:
        for parameter, gradient in zip(self.parameters, gradients, strict=True):
            parameter.grad = gradient

    def _shorten(self) -> None:
        if self._clip is not None:
            torch.nn.utils.clip_grad_norm_(self.parameters, self._clip)

    def state_dict(self) -> dict[str, Any]:
        state = self._optimizer.state_dict()
        return state if self._scaler is None else state | {"scaler": self._scaler.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        parameters = [parameter for group in self._optimizer.param_groups for parameter in group["params"]]
        entries = {
            i: {name: share_like(value, parameters[i]) for name, value in entry.items()} for i, entry in state["state"].items()
        }
        self._optimizer.load_state_dict(state | {"state": entries})
        if self._scaler is not None:
            self._scaler.load_state_dict(state["scaler"])

"""Orders of boxes and faces in which eliminations fill little."""

from __future__ import annotations

import torch
from torch import Tensor


def dissection(centres: Tensor, pairs: Tensor) -> list[int]:
    """Nested dissection: an elimination order of the faces between ``pairs`` (m, 2) of boxes at ``centres`` (n, d).

    The boxes are halved again and again; the faces between two halves come after those inside of each.
    Source: George, SIAM J. Numer. Anal. 10 (1973) 345.
    """
    order: list[int] = []
    stack = [(torch.arange(len(centres), device=centres.device), torch.arange(len(pairs), device=centres.device))]
    while stack:  # the separator of a part first, then its halves: the order is the reverse
        boxes, faces = stack.pop()
        if len(boxes) < 2 or len(faces) < 2:
            order += faces.tolist()
            continue
        spread = centres[boxes]
        axis = int((spread.amax(0) - spread.amin(0)).argmax())
        ranked = boxes[spread[:, axis].argsort()]
        upper = torch.zeros(len(centres), dtype=torch.bool, device=centres.device)
        upper[ranked[len(ranked) // 2 :]] = True
        sides = upper[pairs[faces]].sum(1)
        order += faces[sides == 1].tolist()
        stack += [(ranked[: len(ranked) // 2], faces[sides == 0]), (ranked[len(ranked) // 2 :], faces[sides == 2])]
    return order[::-1]


def parts(centres: Tensor, count: int) -> Tensor:
    """Which of ``count`` equally large, compact parts each of the boxes at ``centres`` (n, d) belongs to, (n,)."""
    result = torch.zeros(len(centres), dtype=torch.long, device=centres.device)
    stack = [(torch.arange(len(centres), device=centres.device), 0, count)]
    while stack:
        boxes, first, number = stack.pop()
        result[boxes] = first
        if number > 1 and len(boxes) > 1:
            spread = centres[boxes]
            axis = int((spread.amax(0) - spread.amin(0)).argmax())
            ranked, half = boxes[spread[:, axis].argsort(stable=True)], number // 2
            place = len(boxes) * half // number
            stack += [(ranked[:place], first, half), (ranked[place:], first + half, number - half)]
    return result

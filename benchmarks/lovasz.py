"""LovaszSoftmaxLoss against kornia's, forward and backward."""

import statistics

import torch
from kornia.losses import lovasz_softmax_loss

from benchmarks.distillation_step import random_batch
from benchmarks.measure import Figure, in_turn, ratios
from custom_components.losses import LovaszSoftmaxLoss


def measure(quick: bool = False) -> list[Figure]:
    """Measure kornia's time, divided by this project's time, with options that make both losses equal.

    Raises:
        AssertionError: if the two differ in value or gradient.
    """
    torch.manual_seed(0)
    batch_size, size = (2, 32) if quick else (8, 384)
    target = random_batch(batch_size, size)["label"].long()
    logits = torch.randn(batch_size, 2, size, size, requires_grad=True)
    loss = LovaszSoftmaxLoss(classes="all", per_image=True)

    def backward(value: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return value.detach(), *torch.autograd.grad(value, logits)

    def ours() -> tuple[torch.Tensor, torch.Tensor]:
        return backward(loss(logits, target))

    def kornias() -> tuple[torch.Tensor, torch.Tensor]:
        return backward(lovasz_softmax_loss(logits, target[:, 0]))

    torch.testing.assert_close(ours(), kornias(), rtol=1e-4, atol=1e-6)
    theirs, own = in_turn(2 if quick else 15, kornias, ours)
    return [
        Figure(
            what=f"Lovász-softmax loss on CPU, forward + backward, {batch_size}x2x{size}x{size}: kornia's time / ours",
            values=ratios(theirs, own),
            target=2.0,
            at_least=True,
            parts={"kornia, s": statistics.median(theirs), "ours, s": statistics.median(own)},
        )
    ]

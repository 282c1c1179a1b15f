"""How strongly each term of a loss pulls at the weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def gradient_norms(
    terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], scale: float = 1.0
) -> dict[str, Tensor]:
    """L2 norm of each term's gradient to all parameters together; the parameters' ``grad`` stay as they are.

    Each term costs a backward pass. Under ``DistributedDataParallel`` the gradient is that of the own process.

    Args:
        terms: scalars of one graph, which is kept.
        parameters: what the gradients are taken to; those that a term does not reach count as 0.
        scale: factor of the terms in the backward pass, taken out of the result; the gradient scaler's, which keeps
            half-precision gradients from vanishing.

    Returns:
        Scalars by the terms' names.
    """
    norms = {}
    for name, term in terms.items():
        # Like every backward pass, it runs outside autocast.
        with torch.autocast(term.device.type, enabled=False):
            gradients = torch.autograd.grad(term * scale, parameters, retain_graph=True, allow_unused=True)
        norms[name] = get_total_norm(gradient for gradient in gradients if gradient is not None) / scale
    return norms

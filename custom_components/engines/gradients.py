"""The gradient of each term of a loss, which shows how strongly the term changes the weights."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm


def gradient_norms(
    terms: Mapping[str, Tensor], parameters: Sequence[nn.Parameter], scale: float = 1.0
) -> dict[str, Tensor]:
    """L2 norm of each term's gradient with respect to all parameters together; the parameters' ``grad`` do not change.

    Each term costs a backward pass. Under ``DistributedDataParallel`` the gradient is that of this process alone.

    Args:
        terms: scalars of one graph; the graph is kept.
        parameters: the parameters; a parameter that a term does not depend on counts as 0.
        scale: factor of the terms in the backward pass; the result is divided by it. The gradient scaler's factor keeps
            half-precision gradients from becoming 0.

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

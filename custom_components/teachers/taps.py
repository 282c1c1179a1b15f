"""Taps: forward hooks that read the features of modules, which a bundle names by path."""

import difflib
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from custom_components.foundation.errors import InputError


class Taps:
    """Collects the outputs of chosen modules of a network during one forward pass.

    The hooks are on the unwrapped module, so they also work under ``DistributedDataParallel``. They are active for one
    forward pass at a time, so that no features stay in memory after a training step.

    Args:
        network: the unwrapped network.
        paths: module path of each tap, by a key that names its resolution (``{"stride2": "initial", ...}``).

    Raises:
        InputError: if a path is not a module of the network; the message lists similar paths.
    """

    def __init__(self, network: nn.Module, paths: Mapping[str, str]) -> None:
        modules = {path: module for path, module in network.named_modules() if path}
        for key, path in paths.items():
            if path not in modules:
                near = difflib.get_close_matches(path, modules, n=3, cutoff=0.4)
                hint = (
                    f"near ones: {', '.join(near)}"
                    if near
                    else f"top level: {', '.join(dict(network.named_children()))}"
                )
                raise InputError(f"tap {key}: {type(network).__name__} has no module '{path}' ({hint})")
        self.keys = tuple(paths)
        self._features: dict[str, Tensor] = {}
        self._armed = False
        for key, path in paths.items():
            modules[path].register_forward_hook(self._hook(key))

    def _hook(self, key: str):
        def keep(_module: nn.Module, _inputs: tuple, output: Tensor) -> None:
            if self._armed:
                self._features[key] = output

        return keep

    def arm(self) -> None:
        """Keep the features of the next forward pass."""
        self._features.clear()
        self._armed = True

    def collect(self, keys: Sequence[str]) -> list[Tensor]:
        """Return the features (B, K, h, w) of the taps ``keys``, in that order, and release all features.

        Raises:
            RuntimeError: if a tapped module has not run since :meth:`arm`.
        """
        features, self._features, self._armed = self._features, {}, False
        silent = [key for key in keys if key not in features]
        if silent:
            raise RuntimeError(f"taps {silent} saw no forward pass: were they armed, and is the network compiled?")
        return [features[key] for key in keys]

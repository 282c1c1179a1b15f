"""Writing and reading of checkpoints. A checkpoint holds tensors and plain values only, and a damaged file is
refused.
"""

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from custom_components.foundation.errors import InputError
from custom_components.foundation.files import file_sha256, remove_partials, replace_file, write_json


def write_checkpoint(file: str | Path, content: Any) -> None:
    """Write a checkpoint as ``torch.save`` does; the same tensors always give the same bytes, whatever the file's name
    is.

    Raises:
        OSError: if the file cannot be written.
    """
    with open(file, "wb") as stream:
        try:
            torch.save(content, stream)
        except RuntimeError as error:
            # torch reports a full disk as a wrong position in the file.
            raise error.__context__ if isinstance(error.__context__, OSError) else error from None


def write_weights(
    model_file: str | Path, network: nn.Module, provenance: Mapping[str, Any], epoch: int, metrics: Mapping[str, float]
) -> None:
    """Write a network's weights and, in the same folder, ``provenance.json`` with the weights' hash, epoch and metrics.

    Raises:
        WriteError: if they cannot be written; the former weights and provenance are kept.
    """
    model_file = Path(model_file)

    def write(partial: Path) -> None:
        write_checkpoint(partial, network.state_dict())
        record = {"weights_sha256": file_sha256(partial), "epoch": epoch, "metrics": metrics}
        # Written before the weights are moved into place: if writing fails, the former weights and provenance still
        # fit.
        write_json(_provenance_of(model_file), {**provenance, **record})

    replace_file(model_file, write)


def remove_partial_weights(model_file: str | Path) -> None:
    """Remove the temporary files of killed calls of :func:`write_weights`. Only one process may write these weights."""
    remove_partials(model_file)
    remove_partials(_provenance_of(model_file))


def _provenance_of(model_file: str | Path) -> Path:
    return Path(model_file).with_name("provenance.json")


def read_checkpoint(file: str | Path) -> Any:
    """Read a file of ``torch.save`` onto the CPU; no code in the file is run.

    Raises:
        InputError: if the file is no checkpoint, is damaged, or holds more than tensors and plain values.
    """
    try:
        _check_sums(file)
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise InputError(
            f"{file}: no checkpoint, or more than tensors in it (a pickle with code); it was not loaded"
        ) from None
    except Exception as error:  # A damaged file raises many kinds of error, such as EOFError and IndexError.
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{file}: not a readable checkpoint ({reason})") from None


def _check_sums(file: str | Path) -> None:
    """Check the checksum of every tensor; torch writes the checksums but does not check them."""
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if damaged := archive.testzip():
                raise zipfile.BadZipFile(f"{damaged} is damaged")

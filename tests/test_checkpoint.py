import random

import torch

from custom_components.checkpoint import read_checkpoint, write_checkpoint
from custom_components.foundation.errors import InputError


def test_no_flipped_bit_goes_unseen(tmp_path):
    file = tmp_path / "a.pt"
    content = {"weight": torch.arange(100.0), "epoch": 3}
    write_checkpoint(file, content)
    whole, places = file.read_bytes(), random.Random(0)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[places.randrange(len(whole))] ^= 1 << places.randrange(8)
        file.write_bytes(damaged)
        try:
            found = read_checkpoint(file)
        except InputError:
            continue
        # Damage that is not found lies in the padding, and the content is unchanged.
        assert torch.equal(found["weight"], content["weight"])
        assert found["epoch"] == 3


def test_the_same_tensors_are_the_same_file(tmp_path):
    for name in ("a.pt", "b.pt"):
        write_checkpoint(tmp_path / name, {"weight": torch.arange(3.0)})
    assert (tmp_path / "a.pt").read_bytes() == (tmp_path / "b.pt").read_bytes()

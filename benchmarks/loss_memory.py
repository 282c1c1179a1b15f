"""The memory that DistillationLoss needs in addition to the features that it compares."""

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.distillation_step import SMALL, TEACHERS, random_batch, random_teachers
from benchmarks.measure import Figure
from custom_components.bundle import SHIPPED_BUNDLES, read_bundle
from custom_components.losses import DistillationLoss
from custom_components.teachers import Taps


def measure(quick: bool = False) -> list[Figure]:
    """Measure the peak memory of the loss's forward and backward pass, divided by the memory of all tapped features."""
    return [_of(label, names, quick) for label, names in (SMALL if quick else TEACHERS).items()]


def _of(label: str, names: list[str], quick: bool) -> Figure:
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    size, batch_size = (64, 2) if quick else (384, 4)
    batch = random_batch(batch_size, size)
    image, target = batch["image"].to(device), batch["label"].to(device)
    bundle = read_bundle("enet", SHIPPED_BUNDLES)
    student = bundle.build_network().to(device)
    taps = Taps(student, bundle.taps)
    taps.arm()
    # The features are leaves of a new graph, so that the network's backward pass is not counted.
    logits = student(image).detach().requires_grad_()
    features = [tap.detach().requires_grad_() for tap in taps.collect(taps.keys)]
    teacher_logits, teacher_features = random_teachers(names, list(taps.keys)).to(device)(image)
    loss = DistillationLoss()

    def forward_and_backward() -> None:
        loss(logits, target, features, teacher_logits, teacher_features).loss.backward()

    tapped = sum(tensor.nbytes for tensor in [*features, *(tap for taps in teacher_features for tap in taps)])
    peak = peak_bytes(forward_and_backward, device)
    return Figure(
        what=f"peak extra memory of the distillation loss, ENet from {label}, {batch_size}x1x{size}x{size} / "
        "tapped features",
        values=[peak / tapped],
        target=3.0,
        parts={"peak, MB": peak / 1e6, "tapped features, MB": tapped / 1e6},
    )


def peak_bytes(run: Callable[[], object], device: torch.device) -> int:
    """The largest number of bytes that the tensors allocated by ``run`` hold at one time."""
    if device.type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        run()
        return torch.cuda.max_memory_allocated() - before
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    with tempfile.TemporaryDirectory() as folder:
        profiler.export_chrome_trace(f"{folder}/trace.json")
        events = json.loads(Path(folder, "trace.json").read_text(encoding="utf-8"))["traceEvents"]
    allocations = sorted((event["ts"], event["args"]["Bytes"]) for event in events if event["name"] == "[memory]")
    held = torch.tensor([change for _, change in allocations]).cumsum(0)
    return int(held.max())

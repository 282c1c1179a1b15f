"""Draws the pictures of distillation.md: ``python docs/explanation/pictures.py``.

The numbers come from ``short_run.npz``, which ``short_run.py`` writes, or from the formulas alone.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from custom_components.losses import adaptive_weights
from reporting.plots import COLOURS, GRID, INK, png

HERE = Path(__file__).resolve().parent
NUMBERS = HERE / "short_run.npz"
TEACHERS = ("RUNMC, BMC", "I2CVB, UCL", "BIDMC, HK")
BLUE, ORANGE, GREEN = COLOURS[0], COLOURS[1], COLOURS[2]
NETWORKS = {"teacher": "teacher", "untrained": "student, untrained", "student": "student, distilled"}
NETWORK_COLOURS = {"teacher": BLUE, "untrained": "#6B7280", "student": ORANGE}
TAPS = {"stride2": "1/2 of the image", "stride8": "1/8 of the image"}


def main() -> None:
    """Draw all pictures."""
    with np.load(NUMBERS) as stored:
        numbers = dict(stored)
    for name in numbers:
        if name in ("image", "label") or "logits" in name or "_map_" in name:
            # Axes from right-anterior-superior to the radiologist's view: front at the top, the patient's right on the
            # left.
            numbers[name] = np.flip(numbers[name], (-2, -1)).swapaxes(-2, -1).copy()
    for name, draw in PICTURES.items():
        (HERE / f"{name}.png").write_bytes(png(draw(numbers)))


def importance_map(numbers: Mapping[str, np.ndarray]) -> Figure:
    """Draw the importance maps of three networks at both taps, with one grey scale for each row."""
    figure = Figure(figsize=(8.6, 4.7), layout="constrained")
    rows = figure.subplots(2, 4)
    for (key, size), axes in zip(TAPS.items(), rows, strict=True):
        _outlined_slice(axes[0], numbers)
        maps = {name: numbers[f"{name}_map_{key}"] for name in NETWORKS}
        top = max(values.max() for values in maps.values())
        for place, (name, values) in zip(axes[1:], maps.items(), strict=True):
            extent = (0, numbers["image"].shape[1], numbers["image"].shape[0], 0)
            drawn = place.imshow(values, cmap="cividis", vmin=0, vmax=top, extent=extent)
            place.contour(numbers["label"], levels=[0.5], colors="white", linewidths=1)
            distance = np.abs(values - maps["teacher"]).sum()
            place.set_title(NETWORKS[name] + (f"\nL1 to teacher {distance:.1f}" if name != "teacher" else "\n"), size=9)
            _bare(place)
        axes[0].set_title("slice, prostate outlined\n", size=9)
        axes[0].set_ylabel(f"tap at {size}\n({values.shape[0]} x {values.shape[1]} pixels)", size=9)
        bar = figure.colorbar(drawn, ax=axes[1:], fraction=0.05, pad=0.01)
        bar.set_label("importance (map of length 1)", size=8)
        bar.ax.tick_params(labelsize=7)
    return figure


def region_contrast(numbers: Mapping[str, np.ndarray]) -> Figure:
    """Draw the angle between the mean vectors of prostate and background."""
    figure = Figure(figsize=(8.6, 3.6), layout="constrained")
    for axes, (key, size) in zip(figure.subplots(1, 2), TAPS.items(), strict=True):
        arc = np.linspace(0, np.pi, 200)
        axes.plot(np.cos(arc), np.sin(arc), color=GRID, linewidth=1)
        _arrow(axes, 0, INK)
        axes.text(1.04, -0.02, "background", size=8, color=INK, va="center")
        for place, (name, label) in enumerate(NETWORKS.items()):
            cosine = float(numbers[f"{name}_contrast_{key}"])
            angle = np.arccos(cosine)
            _arrow(axes, angle, NETWORK_COLOURS[name])
            text = f"{label}: V = {cosine:.2f}, {np.degrees(angle):.0f}°"
            axes.text(-1.0, 1.42 - 0.14 * place, text, size=8.5, color=NETWORK_COLOURS[name])
        axes.set_title(f"tap at {size}", size=9.5, color=INK)
        axes.set(xlim=(-1.1, 1.55), ylim=(-0.12, 1.55), aspect="equal")
        axes.axis("off")
    return figure


def lovasz(numbers: Mapping[str, np.ndarray]) -> Figure:
    """Draw the teacher's errors on one slice, sorted from the worst on, and the Lovász step of each error."""
    probs = torch.from_numpy(numbers["teacher_logits"]).softmax(dim=0)[1].flatten()
    positive = torch.from_numpy(numbers["label"]).flatten() > 0
    errors, order = torch.where(positive, 1 - probs, probs).sort(descending=True, stable=True)
    positive = positive[order].numpy()
    rank = np.arange(1, len(errors) + 1)
    found = positive.cumsum()
    jaccard_loss = 1 - (found[-1] - found) / (found[-1] + rank - found)
    steps = np.diff(jaccard_loss, prepend=0)

    shown = slice(0, int(1.6 * found[-1]))
    figure = Figure(figsize=(8.6, 3.1), layout="constrained")
    left, middle, right = (_styled(axes, "pixels, worst error first") for axes in figure.subplots(1, 3))
    for axes, values, size in ((left, errors.numpy(), 5), (right, 1000 * steps, 5)):
        for chosen, colour in ((positive, BLUE), (~positive, ORANGE)):
            axes.scatter(rank[shown][chosen[shown]], values[shown][chosen[shown]], size, color=colour, linewidths=0)
    middle.plot(rank[shown], jaccard_loss[shown], color=INK, linewidth=1.8)
    left.set_title("1. sort the errors", size=9.5)
    left.set_ylabel("error |y - p|", size=8.5)
    middle.set_title("2. 1 - IoU if the worst k were wrong", size=9.5)
    middle.set_ylabel("1 - IoU", size=8.5)
    right.set_title("3. a pixel's weight is its step", size=9.5)
    right.set_ylabel("step of 1 - IoU (in thousandths)", size=8.5)
    for axes in (left, middle):
        axes.set_ylim(0, 1.04)
    right.set_ylim(bottom=0)
    left.text(0.97, 0.94, "prostate", color=BLUE, size=9, ha="right", transform=left.transAxes)
    left.text(0.97, 0.86, "background", color=ORANGE, size=9, ha="right", transform=left.transAxes)
    return figure


def weights(numbers: Mapping[str, np.ndarray]) -> Figure:
    """Draw the teachers' Dice losses on every batch of the short run, and the weights that two modes give."""
    losses = torch.from_numpy(numbers["teacher_dice_losses"])
    batches = np.arange(1, len(losses) + 1)
    panels = {
        "Dice loss of each teacher": losses.numpy(),
        "weight, loss (as printed)": adaptive_weights(losses, "loss").numpy(),
        "weight, inverse": adaptive_weights(losses, "inverse").numpy(),
    }
    figure = Figure(figsize=(8.6, 3.2), layout="constrained")
    for axes, (title, values) in zip(figure.subplots(1, 3, sharey=True), panels.items(), strict=True):
        _styled(axes, "batch of 8 slices")
        for teacher, colour in enumerate(COLOURS[: len(TEACHERS)]):
            axes.plot(batches, values[:, teacher], color=colour, linewidth=1.3, label=TEACHERS[teacher])
        for end in range(int(numbers["batches_per_epoch"]), len(batches), int(numbers["batches_per_epoch"])):
            axes.axvline(end + 0.5, color=GRID, linewidth=1, zorder=0)
        if title.startswith("weight"):
            axes.axhline(1 / 3, color=INK, linewidth=0.8, linestyle=":")
        axes.set_title(title, size=9.5)
        axes.set_ylim(0, 1)
    figure.legend(
        *figure.axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=8.5,
        title="teacher trained on",
        title_fontsize=8.5,
    )
    return figure


def prediction(_: Mapping[str, np.ndarray]) -> Figure:
    """Draw one pixel's probability by temperature, and the gradient of the divergence in both directions."""
    logit = torch.linspace(-12, 12, 481, dtype=torch.float64)
    figure = Figure(figsize=(8.6, 3.1), layout="constrained")
    left, right = figure.subplots(1, 2)
    _styled(left, "logit difference z(prostate) - z(background)")
    left.set_ylabel("softened probability", size=8.5)
    for place, (temperature, colour) in enumerate(((1, BLUE), (2, ORANGE), (4, GREEN))):
        left.plot(logit, torch.sigmoid(logit / temperature), color=colour, linewidth=1.8)
        left.text(8, 0.34 - 0.1 * place, f"λ = {temperature}", color=colour, size=9.5)
    left.set_title("temperature", size=9.5)

    _styled(right, "student's logit difference; the teacher's is 4")
    right.set_ylabel("gradient to the student's logit", size=8.5)
    teacher, temperature = 4.0, 4.0
    p_student, p_teacher = torch.sigmoid(logit / temperature), torch.sigmoid(torch.tensor(teacher / temperature))
    printed = p_student * (1 - p_student) * (logit - teacher)
    hinton = temperature * (p_student - p_teacher)
    right.plot(logit, printed, color=BLUE, linewidth=1.8)
    right.plot(logit, hinton, color=ORANGE, linewidth=1.8)
    right.axhline(0, color=INK, linewidth=0.8)
    right.axvline(teacher, color=INK, linewidth=0.8, linestyle=":")
    right.text(-11.8, -0.06, "KL(student || teacher),\nas printed", color=BLUE, size=8.5, va="top")
    right.text(4.5, -1.7, "KL(teacher || student),\nHinton, EMKD", color=ORANGE, size=8.5, va="top")
    right.set_title("the pull, λ = 4", size=9.5)
    return figure


def _outlined_slice(axes: Axes, numbers: Mapping[str, np.ndarray]) -> None:
    axes.imshow(numbers["image"], cmap="gray")
    axes.contour(numbers["label"], levels=[0.5], colors=ORANGE, linewidths=1.2)
    _bare(axes)


def _arrow(axes: Axes, angle: float, colour: str) -> None:
    axes.annotate(
        "", (np.cos(angle), np.sin(angle)), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "linewidth": 2}
    )


def _bare(axes: Axes) -> None:
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def _styled(axes: Axes, x_label: str) -> Axes:
    axes.set_xlabel(x_label, size=8.5)
    axes.tick_params(labelsize=8, colors=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    return axes


PICTURES = {
    "importance_map": importance_map,
    "region_contrast": region_contrast,
    "lovasz": lovasz,
    "weights": weights,
    "prediction": prediction,
}

if __name__ == "__main__":
    main()

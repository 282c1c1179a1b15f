"""The figures of the paper's Table 1 as printed, and the reason for each difference from ours.

The paper counted with a ptflops before 0.7; its FLOPs are twice the GMac that ptflops prints. Its networks are those of
EMKD (github.com/EagleMIT/EMKD), an FCN-ResNet101, and a ResNeXt-101-32x8d without classifier.
"""

from decimal import Decimal

UNITS = {"k": 10**3, "M": 10**6, "G": 10**9}

TABLE_1 = {
    "deeplabv3plus": {"params": "56.8 M", "flops": "273.94 G"},
    "fcn_resnet101": {"params": "51.96 M", "flops": "199.74 G"},
    "pspnet": {"params": "46.71 M", "flops": "207.7 G"},
    "resnext101": {"params": "86.74 M", "flops": "96.54 G"},
    "enet": {"params": "353.76 k", "flops": "2.2 G"},
    "espnet": {"params": "183.72 k", "flops": "1.27 G"},
    "mobilenetv2": {"params": "2.23 M", "flops": "19.84 G"},
}

FUNCTIONAL = (
    "ptflops 0.7.5 also counts calls of torch.nn.functional; versions before 0.7 did not. Without these calls PSPNet "
    "has 103.85 GMac, ResNeXt101 48.27 GMac and ESPNet 633.88 MMac; Table 1 prints twice these numbers."
)
# network -> figure ("label" stands for the whole row) -> text of the footnote
FOOTNOTES = {
    "deeplabv3plus": {
        "params": "Table 1 counts the 1000-class layer of the reference's Xception-65 (2,049,000 parameters). This "
        "layer never runs, and our network does not have it.",
        "flops": "The blocks of the reference's Xception share one ReLU, which ptflops counts twice (0.10 GMac more in "
        "Table 1). ptflops 0.7.5 also counts calls of torch.nn.functional (0.14 GMac more here).",
    },
    "deeplabv3plus_resnet50": {
        "label": 'The text of the paper names this variant (backbone="resnet50"). The size in Table 1 is that of '
        "Xception-65; no public variant with ResNet-50 is as large.",
    },
    "fcn_resnet101": {
        "params": "The paper's network is not public. The size in Table 1 fits a network of 51,956,375 parameters. It "
        "has a stem for one channel, a 1x1 convolution on the trunk, and two parts that are not used: a 21-class head "
        "and a stem for three channels.",
        "flops": "The figure in Table 1 fits the trunk and a 1x1 convolution without the FCN head: 99.87 GMac. Here "
        "the 3x3 convolution of the FCN head runs too and takes 21.74 GMac.",
    },
    "pspnet": {"flops": FUNCTIONAL},
    "resnext101": {"flops": FUNCTIONAL},
    "enet": {
        "flops": "The reference builds eight bottlenecks in stage 3 and never calls one of them; here all eight run. "
        "Without this bottleneck ENet has 1.10 GMac; Table 1 prints twice that.",
    },
    "espnet": {"flops": FUNCTIONAL},
}


def agrees(value: int, printed: str) -> bool:
    """Whether ``value``, rounded as ``printed`` is, equals ``printed`` (such as ``"56.8 M"``)."""
    number, unit = printed.split()
    exact = Decimal(number) * UNITS[unit]
    last_place = Decimal(number).as_tuple().exponent
    return abs(value - exact) <= UNITS[unit] * Decimal(10) ** last_place / 2

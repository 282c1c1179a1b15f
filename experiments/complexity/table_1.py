"""Table 1 of the paper as printed, and why a figure of ours differs from it.

The paper's figures come from ptflops before 0.7; its FLOPs are twice the GMac printed there. The networks are those of
EMKD (github.com/EagleMIT/EMKD), an FCN-ResNet101 and a ResNeXt-101-32x8d without classifier.
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
    "ptflops 0.7.5 also counts calls of torch.nn.functional, which versions before 0.7 did not. Without "
    "them PSPNet has 103.85 GMac, ResNeXt101 48.27 GMac and ESPNet 633.88 MMac; twice that is what Table 1 prints."
)
# network -> figure ("label" for the row as a whole) -> why
FOOTNOTES = {
    "deeplabv3plus": {
        "params": "Table 1 counts the 1000-class layer of the reference's Xception-65, which never runs (2,049,000 "
        "parameters). It is left out here.",
        "flops": "The reference's Xception blocks share one ReLU, which ptflops adds up twice (0.10 GMac more in Table "
        "1); ptflops 0.7.5 also counts calls of torch.nn.functional (0.14 GMac more here).",
    },
    "deeplabv3plus_resnet50": {
        "label": 'The variant that the paper\'s text names (backbone="resnet50"). The size in Table 1 is that of '
        "Xception-65; no public ResNet-50 variant reaches it.",
    },
    "fcn_resnet101": {
        "params": "Table 1 fits a network with an idle 21-class head and an idle stem of three channels, beside a grey "
        "stem and a 1x1 convolution on the trunk: 51,956,375 parameters. That is inferred from the size; its code is "
        "not public.",
        "flops": "Table 1 fits the trunk and that 1x1 convolution alone: 99.87 GMac. The 3x3 convolution of the FCN "
        "head, which runs here, has 21.74 GMac.",
    },
    "pspnet": {"flops": FUNCTIONAL},
    "resnext101": {"flops": FUNCTIONAL},
    "enet": {
        "flops": "The reference builds one bottleneck of stage 3 and never calls it; here all eight run. Without it "
        "ENet has 1.10 GMac, and twice that is what Table 1 prints.",
    },
    "espnet": {"flops": FUNCTIONAL},
}


def agrees(value: int, printed: str) -> bool:
    """Whether ``value`` is ``printed`` (such as ``"56.8 M"``) to the precision of print."""
    number, unit = printed.split()
    exact = Decimal(number) * UNITS[unit]
    last_place = Decimal(number).as_tuple().exponent
    return abs(value - exact) <= UNITS[unit] * Decimal(10) ** last_place / 2

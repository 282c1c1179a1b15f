"""The networks of teachers and students. All map (B,in,H,W) images to (B,C,H,W) logits.

Every bundle's ``network_def`` names one of them, and no other class. To add one, write its module and import it here,
under its own name; docs/extending.md has the steps.
"""

from custom_components.networks.deeplabv3plus import DeepLabV3Plus as DeepLabV3Plus
from custom_components.networks.enet import ENet as ENet
from custom_components.networks.ensemble import Ensemble as Ensemble
from custom_components.networks.espnet import ESPNet as ESPNet
from custom_components.networks.fcn_resnet101 import FCNResNet101 as FCNResNet101
from custom_components.networks.mobilenetv2 import MobileNetV2 as MobileNetV2
from custom_components.networks.pspnet import PSPNet as PSPNet
from custom_components.networks.resnext101 import ResNeXt101 as ResNeXt101

__all__ = sorted(name for name, value in globals().items() if isinstance(value, type))  # the imports above

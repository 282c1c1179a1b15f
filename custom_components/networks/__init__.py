"""The seven networks: four teachers and three students. All networks map images (B,in,H,W) to logits (B,C,H,W)."""

from custom_components.networks.deeplabv3plus import DeepLabV3Plus
from custom_components.networks.enet import ENet
from custom_components.networks.espnet import ESPNet
from custom_components.networks.fcn_resnet101 import FCNResNet101
from custom_components.networks.mobilenetv2 import MobileNetV2
from custom_components.networks.pspnet import PSPNet
from custom_components.networks.resnext101 import ResNeXt101

__all__ = ["DeepLabV3Plus", "ENet", "ESPNet", "FCNResNet101", "MobileNetV2", "PSPNet", "ResNeXt101"]

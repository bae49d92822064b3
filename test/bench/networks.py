"""Exports networks of the field at realistic widths, with random weights, to .build/networks: python3 test/bench/networks.py

What `npm run bench -- memory` and `-- budgets` take beside the repository's own. Needs torch, torchvision and onnx.
"""
import os
import warnings

import torch
import torchvision.models as tv
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)
torch.manual_seed(0)
OUT = ".build/networks"

IMAGE = {  # name: constructor, its options, size of the image
    "mobilenet_v2_half": (tv.mobilenet_v2, {"width_mult": 0.5}, 160),
    "mobilenet_v2": (tv.mobilenet_v2, {}, 224),
    "mobilenet_v3_small": (tv.mobilenet_v3_small, {}, 224),
    "mobilenet_v3_large": (tv.mobilenet_v3_large, {}, 224),
    "squeezenet1_1": (tv.squeezenet1_1, {}, 224),
    "shufflenet_v2": (tv.shufflenet_v2_x1_0, {}, 160),
    "mnasnet0_5": (tv.mnasnet0_5, {}, 224),
    "efficientnet_b0": (tv.efficientnet_b0, {}, 224),
    "efficientnet_v2_s": (tv.efficientnet_v2_s, {}, 160),
    "resnet18": (tv.resnet18, {}, 128),
    "resnet50": (tv.resnet50, {}, 128),
    "resnext50": (tv.resnext50_32x4d, {}, 160),
    "regnet_y_400mf": (tv.regnet_y_400mf, {}, 160),
    "regnet_x_400mf": (tv.regnet_x_400mf, {}, 224),
    "densenet121": (tv.densenet121, {}, 160),
    "googlenet": (tv.googlenet, {"aux_logits": False, "init_weights": False}, 160),
    "inception_v3": (tv.inception_v3, {"aux_logits": False, "init_weights": False}, 160),
    "convnext_tiny": (tv.convnext_tiny, {}, 128),
    "swin_t": (tv.swin_t, {}, 224),
}


def twice(i, o):
    conv = lambda a, b: [nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU()]
    return nn.Sequential(*conv(i, o), *conv(o, o))


class UNet(nn.Module):
    def __init__(self, w):
        super().__init__()
        self.down = nn.ModuleList([twice(3, w), twice(w, 2 * w), twice(2 * w, 4 * w), twice(4 * w, 8 * w)])
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * c, c, 2, 2) for c in (4 * w, 2 * w, w)])
        self.join = nn.ModuleList([twice(2 * c, c) for c in (4 * w, 2 * w, w)])
        self.head = nn.Conv2d(w, 2, 1)

    def forward(self, x):
        skips = []
        for i, block in enumerate(self.down):
            x = block(x if i == 0 else nn.functional.max_pool2d(x, 2))
            skips.append(x)
        for up, join, skip in zip(self.up, self.join, reversed(skips[:-1])):
            x = join(torch.cat([skip, up(x)], 1))
        return self.head(x)


class Lstm(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(40, 128, 3, padding=1)
        self.lstm = nn.LSTM(128, 256, 2, batch_first=True, bidirectional=True)
        self.head = nn.Linear(512, 60)

    def forward(self, x):
        return self.head(self.lstm(torch.relu(self.conv(x)).transpose(1, 2))[0])


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.vit = tv.VisionTransformer(96, 16, num_layers=6, num_heads=4, hidden_dim=192, mlp_dim=768)

    def forward(self, x):
        return self.vit(x)


OTHERS = {
    "unet_16": (lambda: UNet(16), (3, 128, 128)),
    "unet_24": (lambda: UNet(24), (3, 96, 96)),
    "lstm": (Lstm, (40, 100)),
    "vit_small": (ViT, (3, 96, 96)),
}

os.makedirs(OUT, exist_ok=True)
todo = {name: (lambda m=m, o=o: m(weights=None, **o), (3, s, s)) for name, (m, o, s) in IMAGE.items()} | OTHERS
for name, (make, size) in todo.items():
    path = f"{OUT}/{name}.onnx"
    if os.path.exists(path):
        continue
    torch.onnx.export(
        make().eval(),
        torch.randn(1, *size),
        path + ".part",
        opset_version=17,
        dynamo=False,
        input_names=["x"],
        output_names=["y"],
        dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
    )
    os.rename(path + ".part", path)
    print(name, os.path.getsize(path), flush=True)

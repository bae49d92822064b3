"""PyTorch beside Espalier: the same networks, exported; their gradients; their training steps, timed.

  python3 test/bench/training/peer.py export FOLDER    networks, and for a batch each the gradients of its loss
  python3 test/bench/training/peer.py time NETWORK VARIANT BATCH   a line "N" on stdin: N steps, then their seconds

Needs torch, onnx, onnxscript and numpy (PyPI). VARIANT: eager, channels-last or compiled. One thread.
"""
import json
import os
import resource
import sys
import time
import warnings

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

warnings.filterwarnings("ignore")
torch.set_num_threads(1)


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1, self.c2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.f1, self.f2, self.f3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.f3(F.relu(self.f2(F.relu(self.f1(x.flatten(1))))))


def conv_bn(i, o, k=3, stride=1, groups=1):
    return [nn.Conv2d(i, o, k, stride, k // 2, groups=groups, bias=False), nn.BatchNorm2d(o)]


class Basic(nn.Module):
    def __init__(self, i, o, stride):
        super().__init__()
        self.body = nn.Sequential(*conv_bn(i, o, 3, stride), nn.ReLU(), *conv_bn(o, o))
        self.short = nn.Sequential(*conv_bn(i, o, 1, stride)) if stride > 1 or i != o else nn.Identity()

    def forward(self, x):
        return F.relu(self.body(x) + self.short(x))


def resnet20():
    blocks, i = [], 16
    for o, stride in [(16, 1)] * 3 + [(32, 2)] + [(32, 1)] * 2 + [(64, 2)] + [(64, 1)] * 2:
        blocks.append(Basic(i, o, stride))
        i = o
    return nn.Sequential(*conv_bn(3, 16), nn.ReLU(), *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


class Inverted(nn.Module):
    def __init__(self, i, o, stride, expand):
        super().__init__()
        w = i * expand
        self.same = stride == 1 and i == o
        self.body = nn.Sequential(
            *conv_bn(i, w, 1), nn.ReLU6(), *conv_bn(w, w, 3, stride, w), nn.ReLU6(), *conv_bn(w, o, 1)
        )

    def forward(self, x):
        return x + self.body(x) if self.same else self.body(x)


def mobilenet():
    plan = [(16, 1, 1), (24, 2, 4), (24, 1, 4), (32, 2, 4), (32, 1, 4), (64, 2, 4), (64, 1, 4)]
    blocks, i = [], 16
    for o, stride, expand in plan:
        blocks.append(Inverted(i, o, stride, expand))
        i = o
    return nn.Sequential(
        *conv_bn(3, 16), nn.ReLU6(), *blocks, *conv_bn(64, 128, 1), nn.ReLU6(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(128, 10),
    )


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x):
        b, t, c = x.shape
        q, k, v = self.qkv(self.n1(x)).view(b, t, 3, self.heads, c // self.heads).permute(2, 0, 3, 1, 4)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(y.transpose(1, 2).reshape(b, t, c))
        return x + self.down(F.gelu(self.up(self.n2(x))))


class Transformer(nn.Module):
    def __init__(self, words=1000, length=64, width=128, heads=4, layers=4):
        super().__init__()
        self.words, self.places = nn.Embedding(words, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*[Block(width, heads) for _ in range(layers)])
        self.norm, self.head = nn.LayerNorm(width), nn.Linear(width, words)

    def forward(self, x):
        return self.head(self.norm(self.blocks(self.words(x) + self.places.weight)))


class UNet(nn.Module):
    """With group and instance normalisation, transposed convolution, resizing and concatenation."""

    def __init__(self, w=8):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(3, w, 3, padding=1), nn.GroupNorm(2, w), nn.SiLU())
        self.b = nn.Sequential(
            nn.Conv2d(w, 2 * w, 3, 2, 1), nn.InstanceNorm2d(2 * w, affine=True), nn.LeakyReLU(0.1)
        )
        self.c = nn.Sequential(nn.Conv2d(2 * w, 4 * w, 3, 2, 1), nn.GroupNorm(4, 4 * w), nn.GELU())
        self.up = nn.ConvTranspose2d(4 * w, 2 * w, 2, 2)
        self.d = nn.Sequential(nn.Conv2d(4 * w, w, 3, padding=1), nn.PReLU(w))
        self.head = nn.Conv2d(2 * w, 4, 1)

    def forward(self, x):
        a = self.a(x)
        b = self.b(a)
        d = self.d(torch.cat([b, self.up(self.c(b))], 1))
        return self.head(torch.cat([a, F.interpolate(d, scale_factor=2.0, mode="bilinear")], 1))


class Tagger(nn.Module):
    """Bidirectional LSTM and a GRU over embedded tokens, a tag each."""

    def __init__(self, words=50, width=16, tags=7):
        super().__init__()
        self.words = nn.Embedding(words, width)
        self.lstm = nn.LSTM(width, 12, bidirectional=True)
        self.gru = nn.GRU(24, 20)
        self.head = nn.Linear(20, tags)

    def forward(self, x):
        h, _ = self.lstm(self.words(x).transpose(0, 1))
        h, _ = self.gru(h)
        return self.head(h.transpose(0, 1))


IMAGES, TOKENS = "images", "tokens"
NETWORKS = {  # name: module, kind of input, shape of a sample, axis of the classes
    "LeNet-5": (LeNet5, IMAGES, (1, 28, 28), 10),
    "ResNet-20": (resnet20, IMAGES, (3, 32, 32), 10),
    "MobileNetV2-like": (mobilenet, IMAGES, (3, 32, 32), 10),
    "transformer": (Transformer, TOKENS, (64, 1000), 1000),
    "U-Net": (UNet, IMAGES, (3, 24, 20), 4),
    "LSTM and GRU": (Tagger, TOKENS, (9, 50), 7),
}


def made(name, batch):
    make, kind, sample, classes = NETWORKS[name]
    torch.manual_seed(1)
    module = make()
    for p in module.parameters():  # nothing at exactly zero or one
        if p.dim() == 1:
            p.data += 0.1 * torch.randn_like(p)
    if kind == IMAGES:
        x = torch.randn(batch, *sample)
    else:
        x = torch.randint(0, sample[1], (batch, sample[0]))
    with torch.no_grad():
        y = module.eval()(x)
    labels = torch.randint(0, classes, (batch, *[d for d in (y.shape[1:-1] if kind == TOKENS else y.shape[2:])]))
    return module, x, labels, kind


def loss_of(module, x, labels, kind):
    y = module(x)
    return F.cross_entropy(y.flatten(0, 1), labels.flatten()) if kind == TOKENS else F.cross_entropy(y, labels)


def export(folder):
    os.makedirs(folder, exist_ok=True)
    batch = 4
    for name in NETWORKS:
        path = os.path.join(folder, name)
        module, x, labels, kind = made(name, batch)
        torch.onnx.export(
            module.eval(), (x,), path + ".onnx", opset_version=18, dynamo=False, do_constant_folding=False,
            input_names=["x"], output_names=["y"], dynamic_axes={"x": {0: "n"}, "y": {0: "n"}},
            training=torch.onnx.TrainingMode.PRESERVE,
        )
        arrays = {"x": x.numpy().astype(np.int32 if kind == TOKENS else np.float32), "labels": labels.numpy().astype(np.int32)}
        for mode in ("eval", "train"):
            module.train(mode == "train").zero_grad()
            loss = loss_of(module, x, labels, kind)
            loss.backward()
            arrays[mode + ".loss"] = np.float32([loss.item()])
            for key, p in module.named_parameters():
                arrays[mode + ".gradient." + key] = p.grad.numpy().astype(np.float32)
        index, at = {}, 0
        with open(path + ".bin", "wb") as f:
            for key, a in arrays.items():
                index[key] = {"type": str(a.dtype), "dims": list(a.shape), "at": at}
                at += f.write(np.ascontiguousarray(a).tobytes())
        with open(path + ".json", "w") as f:
            json.dump(index, f)
        print(name, flush=True)
    with open(os.path.join(folder, "index.json"), "w") as f:
        json.dump([{"name": n, "kind": k, "classes": c} for n, (_, k, _, c) in NETWORKS.items()], f)


def timed(name, variant, batch):
    module, x, labels, kind = made(name, batch)
    module.train()
    if variant == "channels-last":
        module = module.to(memory_format=torch.channels_last)
        x = x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x
    adam = torch.optim.Adam(module.parameters(), lr=1e-5)

    def step():
        adam.zero_grad(set_to_none=True)
        loss_of(run, x, labels, kind).backward()
        adam.step()

    run = torch.compile(module) if variant == "compiled" else module
    print("ready", flush=True)
    for line in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(int(line)):
            step()
        seconds = [time.perf_counter() - wall, time.process_time() - cpu]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"wall": seconds[0], "cpu": seconds[1], "peakBytes": peak}), flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "export":
        export(sys.argv[2])
    else:
        timed(sys.argv[2], sys.argv[3], int(sys.argv[4]))

"""One of torchvision's networks with random weights: exported to ONNX, or pruned by Torch-Pruning.

networks.py export NAME FILE    writes FILE and prints {"params", "exporter"}
networks.py prune NAME RATIO    prints {"before": {"macs", "params"}, "after": {…}}

Channels, inputs and what stays whole are chosen as in Torch-Pruning's own examples/torchvision_models.
"""

import json
import sys
import warnings

warnings.filterwarnings("ignore")
import torch
from torch import nn
from torchvision import models

torch.set_num_threads(1)

DETECTION = ("rcnn", "ssd", "fcos", "retinanet")
SEGMENTATION = ("fcn_", "deeplab", "lraspp")


def network(name):
    options = {"weights": None}
    if name.startswith(DETECTION + SEGMENTATION) or any(d in name for d in DETECTION):
        options["weights_backbone"] = None
    if "rcnn" in name or "fcos" in name or "retinanet" in name:
        options["trainable_backbone_layers"] = 5
    if name in ("googlenet", "inception_v3"):
        options.update(aux_logits=False, init_weights=False)
    torch.manual_seed(0)
    model = models.get_model(name, **options).eval()
    for p in model.parameters():
        if not p.any():  # biases, heads and scales that start at zero would hide what pruning does
            nn.init.normal_(p, std=0.05)
        p.requires_grad_(True)
    for m in model.modules():
        if hasattr(m, "score_thresh"):
            m.score_thresh = 0.0  # or nothing random would be found
    return model


def inputs(name, batch=1):
    if "raft" in name:
        return (torch.rand(batch, 3, 128, 128), torch.rand(batch, 3, 128, 128))
    if any(d in name for d in DETECTION):
        return ([torch.rand(3, 320, 320) for _ in range(batch)],)
    size = 299 if name == "inception_v3" else 128 if name.startswith(SEGMENTATION) else 224
    return (torch.rand(batch, 3, size, size),)


def calibrate(model, name):
    """Sets the statistics of normalisations by what they see, or signals would fade from layer to layer."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    for m in norms:
        m.momentum = None
        m.train()
    with torch.no_grad():
        model(*inputs(name, batch=2))
    model.eval()


def export(name, file):
    model, given = network(name), inputs(name)
    calibrate(model, name)
    params = sum(p.numel() for p in model.parameters())
    # With gradients, or attention would take a fast path that no exporter knows.
    torch.onnx.export(model, given, file, dynamo=False, opset_version=17, input_names=["x"])
    return {"params": params, "exporter": f"torch {torch.__version__}, TorchScript, opset 17"}


def left_whole(model, name):
    found = [m for m in model.modules() if isinstance(m, nn.Linear) and m.out_features == 1000]
    if "ssd" in name:
        found.append(model.head)
    if "fasterrcnn" in name:
        found += [model.rpn.head.cls_logits, model.rpn.head.bbox_pred, model.backbone.fpn, model.roi_heads]
    if "fcos" in name:
        head = model.head
        found += [head.classification_head.cls_logits, head.regression_head.bbox_reg, head.regression_head.bbox_ctrness]
    if "keypointrcnn" in name:
        roi = model.roi_heads
        found += [model.rpn.head.cls_logits, model.backbone.fpn.layer_blocks, model.rpn.head.bbox_pred]
        found += [roi.box_head, roi.box_predictor, roi.keypoint_predictor]
    if "maskrcnn" in name:
        found += [model.rpn.head.cls_logits, model.rpn.head.bbox_pred]
        found += [model.roi_heads.box_predictor, model.roi_heads.mask_predictor]
    if "retinanet" in name:
        found += [model.head.classification_head.cls_logits, model.head.regression_head.bbox_reg]
    if "raft" in name:
        found += [model.corr_block, model.update_block, model.mask_predictor]
    return found


def prune(name, ratio):
    import torch_pruning as tp

    model, given = network(name), inputs(name)
    is_vit = isinstance(model, models.VisionTransformer)
    before = tp.utils.count_ops_and_params(model, given)
    pruner = tp.pruner.MagnitudePruner(
        model,
        given,
        importance=tp.importance.MagnitudeImportance(p=1),
        pruning_ratio=ratio,
        ignored_layers=left_whole(model, name),
        round_to=model.encoder.layers[0].num_heads if is_vit else None,
    )
    pruner.step()
    if is_vit:
        model.hidden_dim = model.conv_proj.out_channels
    with torch.no_grad():
        model(*given)
    after = tp.utils.count_ops_and_params(model, given)
    both = [{"macs": float(macs), "params": int(params)} for macs, params in (before, after)]
    return {"torchPruning": tp.__version__, "before": both[0], "after": both[1]}


if __name__ == "__main__":
    command, name, argument = sys.argv[1:]
    print(json.dumps(export(name, argument) if command == "export" else prune(name, float(argument))))

"""Judges a pruned ONNX file by the original, the pruned file and plan.json alone, with onnx and onnxruntime from PyPI.

    python3 -m pip install onnx onnxruntime numpy
    python3 test/bench/checker.py ORIGINAL PRUNED PLAN [--dynamic 1,64,64 2,96,64 3,32,128] [--inputs 10]

Prints one JSON object and exits 1 if anything is wrong. For comparison with test/checker; never part of the tests.
"""

import argparse
import json
import sys

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

SATURATING = {"Sigmoid", "Softmax", "HardSigmoid", "Tanh"}
SIZING = {"Resize", "Upsample", "Range"}  # their float inputs say how large the output is


def constants(model):
    found = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    for n in model.graph.node:
        for a in n.attribute:
            if n.op_type == "Constant" and a.name == "value":
                found[n.output[0]] = numpy_helper.to_array(a.t)
    return found


def lookup(found, name):
    return found[name] if name in found else found[name.rsplit("@", 1)[0]]


def sliced(array, kept):
    for axis, indices in kept.items():
        array = np.take(array, indices, axis=int(axis))
    return array


def zeroed(array, kept, zero):
    array = array.copy()
    for axis, indices in kept.items():
        gone = np.setdiff1d(np.arange(array.shape[int(axis)]), indices)
        np.moveaxis(array, int(axis), 0)[gone] = np.moveaxis(zero, int(axis), 0)[gone]
    return array


def constant_faults(original, pruned, plan):
    before, after, planned = constants(original), constants(pruned), set()
    for name, kept in plan.items():
        if is_gone(kept):
            if name in after:
                yield f"{name} is there, though the plan keeps nothing of it"
            continue
        actual = name if name in after else name.rsplit("@", 1)[0]
        planned.add(actual)
        if actual not in after or not np.array_equal(sliced(lookup(before, name), kept), after[actual]):
            yield f"{name} is not the planned slice"
    for name, now in after.items():
        if name in planned or now.dtype.kind != "f":
            continue
        try:
            same = np.array_equal(lookup(before, name), now)
        except KeyError:
            same = False
        if not same:
            yield f"{name} changed without a plan"


def is_gone(kept):
    return any(len(indices) == 0 for indices in kept.values())


def unplanned(original, pruned, plan):
    """What is missing without a plan: the rest of a branch whose end was planned away. It must not matter."""
    there = {part for name in constants(pruned) for part in (name, name.rsplit("@", 1)[0])}
    planned = {part for name in plan for part in (name, name.rsplit("@", 1)[0])}
    planned |= {i for n in original.graph.node if n.op_type in SIZING for i in n.input}
    return {n: a for n, a in constants(original).items() if a.dtype.kind == "f" and n not in there | planned}


# Inputs that are sliced and never zeroed: divisors and exponents, scales and zero points.
KEPT = {"Div": [1], "Pow": [1], "QuantizeLinear": [1, 2], "DequantizeLinear": [1, 2]}


def zero_point(model, found, source, array):
    """What stands for zero: of what DequantizeLinear reads its zero point, along its axis."""
    for n in model.graph.node:
        if n.op_type == "DequantizeLinear" and n.input[0] == source and len(n.input) > 2:
            point = found[n.input[2]]
            shape = [1] * array.ndim
            if point.size > 1:
                shape[next((a.i for a in n.attribute if a.name == "axis"), 1)] = -1
            return np.broadcast_to(point.reshape(shape), array.shape)
    return np.zeros_like(array)


def with_zeros(original, pruned, plan):
    """The original with the planned slices zero, or at their zero point, and three times what is missing unplanned."""
    model = onnx.ModelProto()
    model.CopyFrom(original)
    found = constants(model)
    instead = {name: 3 * array for name, array in unplanned(original, pruned, plan).items()}
    for name, kept in plan.items():
        array = lookup(found, name)
        source = name if name in found else name.rsplit("@", 1)[0]
        instead[name] = zeroed(array, kept, zero_point(model, found, source, array))
    for name, array in instead.items():
        own = name not in found
        source, output = name.rsplit("@", 1) if own else (name, None)
        readers = [n for n in model.graph.node if source in n.input and (output is None or output in n.output)]
        if any(n.input[i] == source for n in readers for i in KEPT.get(n.op_type, []) if i < len(n.input)):
            continue
        value = numpy_helper.from_array(array, name)
        if own:
            for n in readers:
                n.input[:] = [name if i == source else i for i in n.input]
            model.graph.node.insert(0, helper.make_node("Constant", [], [name], value=value))
            continue
        for t in model.graph.initializer:
            if t.name == name:
                t.CopyFrom(value)
        for n in model.graph.node:
            if n.op_type == "Constant" and n.output[0] == name:
                n.attribute[0].t.CopyFrom(value)
    return model


def session(model):
    """Outputs that saturate are judged before their last operator."""
    judged = onnx.ModelProto()
    judged.CopyFrom(model)
    producers = {o: n for n in judged.graph.node for o in n.output}
    for o in judged.graph.output:
        last = producers.get(o.name)
        if last is not None and last.op_type in SATURATING:
            o.CopyFrom(helper.make_empty_tensor_value_info(last.input[0]))
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(judged.SerializeToString(), options, providers=["CPUExecutionProvider"])


def compare(original, pruned, plan, inputs, dynamic):
    one, two = session(with_zeros(original, pruned, plan)), session(pruned)
    random, gap, faults, shapes = np.random.default_rng(1), 0.0, [], []
    is_dynamic = any(not isinstance(d, int) for i in one.get_inputs() for d in i.shape)
    for sizes in dynamic if is_dynamic else [[1]]:
        first, varies = None, False
        for _ in range(inputs):
            feeds = {}
            for i in one.get_inputs():
                rest = iter(sizes[1:])
                dims = [d if isinstance(d, int) else sizes[0] if k == 0 else next(rest) for k, d in enumerate(i.shape)]
                feeds[i.name] = random.uniform(-1, 1, dims).astype(np.float32)
            shapes.append([list(v.shape) for v in feeds.values()])
            a, b = one.run(None, feeds), two.run(None, feeds)
            for x, y in zip(a, b):
                gap = max(gap, float(np.abs(x - y).max() / (1e-4 * np.abs(x).max() + 1e-6)))
            if first is not None:
                varies |= any(np.abs(x - f).max() > 1e-6 * np.abs(x).max() for x, f in zip(a, first))
            first = first or a
        if not varies:
            faults.append(f"weak: at {shapes[-1]} the outputs do not vary with the input")
    if not gap <= 1:
        faults.append(f"outputs differ by {gap} times what is allowed")
    return gap, faults


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("original")
    parser.add_argument("pruned")
    parser.add_argument("plan")
    parser.add_argument("--inputs", type=int, default=10)
    parser.add_argument("--dynamic", nargs="+", default=["1,64,64", "2,96,64", "3,32,128"])
    args = parser.parse_args()
    original, pruned = onnx.load(args.original), onnx.load(args.pruned)
    with open(args.plan) as file:
        plan = json.load(file)
    faults = list(constant_faults(original, pruned, plan))
    try:
        onnx.checker.check_model(pruned, full_check=True)
        accepted = True
    except Exception as error:
        accepted = False
        faults.append(f"onnx.checker: {error}")
    dynamic = [[int(s) for s in sizes.split(",")] for sizes in args.dynamic]
    gap, more = compare(original, pruned, plan, args.inputs, dynamic)
    print(json.dumps({"faults": faults + more, "gap": gap, "onnxChecker": accepted}))
    return 1 if faults + more else 0


if __name__ == "__main__":
    sys.exit(main())

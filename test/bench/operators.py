"""Writes the node test cases of PyPI's `onnx` as models whose inputs are initializers, for test/bench/operators.ts.

    python3 -m pip install onnx numpy
    python3 test/bench/operators.py [FOLDER = .build/bench/operators] [NEWEST OPSET = 26]

Cases of a newer opset than the runtime takes are written as of that opset where their operators are older.
FOLDER/index.json lists name, operator and file, or why a case was left out.
"""

import json
import pathlib
import sys
import warnings

import numpy as np
import onnx
from onnx import defs, numpy_helper
from onnx.backend.test.case.node import collect_testcases

warnings.simplefilter("ignore")


NEWEST_IR = 12


def lowered(model, newest):
    """The model as of opset `newest`, if all its operators are older: what changed since is mostly element types."""
    for imported in model.opset_import:
        if imported.domain != "" or imported.version <= newest:
            continue
        for n in model.graph.node:
            if n.domain == "" and not defs.has(n.op_type, max_inclusive_version=newest):
                return
        imported.version = newest


def self_contained(case, newest):
    model = onnx.ModelProto()
    model.CopyFrom(case.model)
    inputs, _ = case.data_sets[0]
    for value, array in zip(model.graph.input, inputs):
        if not isinstance(array, (np.ndarray, np.generic)) or not value.type.HasField("tensor_type"):
            return None, "an input is no tensor"
        tensor = numpy_helper.from_array(np.asarray(array), value.name)
        if tensor.data_type != value.type.tensor_type.elem_type:
            return None, "an input's type has no array"
        model.graph.initializer.append(tensor)
    del model.graph.input[:]
    model.ir_version = min(model.ir_version, NEWEST_IR)
    lowered(model, newest)
    return model, None


def main(folder=".build/bench/operators", newest="26"):
    out = pathlib.Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    index = []
    for case in collect_testcases(None):
        nodes = case.model.graph.node
        # A function's body is kept under the name of the function that it spells.
        row = {"name": case.name, "operator": nodes[0].op_type, "domain": nodes[0].domain, "nodes": len(nodes)}
        try:
            model, reason = self_contained(case, int(newest))
        except (TypeError, ValueError, KeyError) as error:
            model, reason = None, str(error)
        if model is None:
            row["leftOut"] = reason
        else:
            row["file"] = f"{case.name}.onnx"
            onnx.save(model, out / row["file"])
        index.append(row)
    (out / "index.json").write_text(json.dumps(index))
    print(len(index), "cases in", out)


if __name__ == "__main__":
    main(*sys.argv[1:])

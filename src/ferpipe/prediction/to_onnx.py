"""A TensorFlow function as an ONNX file, with the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import onnx  # this and tf2onnx are of the extra `export`
import tf2onnx

from ferpipe.model.backend import tf
from ferpipe.prediction.exported import INPUT, METADATA, OUTPUT

OPSET = 17  # of 2022: read by onnxruntime from 1.12 on


def write(function: tf.types.experimental.PolymorphicFunction, path: Path, metadata: str) -> None:
    """Write a function from INPUT to OUTPUT, both with a free first axis, with its metadata."""
    converted, _ = tf2onnx.convert.from_function(function, function.input_signature, opset=OPSET)
    proto = onnx.ModelProto(ir_version=converted.ir_version, producer_name="ferpipe")
    proto.opset_import.add(version=OPSET)
    proto.graph.CopyFrom(_numbered(converted.graph))
    for value in (*proto.graph.input, *proto.graph.output):
        value.type.tensor_type.shape.dim[0].dim_param = "batch"
    entry = proto.metadata_props.add()
    entry.key, entry.value = METADATA, metadata
    path.write_bytes(proto.SerializeToString(deterministic=True))


def _numbered(graph: onnx.GraphProto) -> onnx.GraphProto:
    """Order and name nodes, values and constants by their place on the way to the output.

    tf2onnx counts its names up in a process, and of equal constants it keeps any one's name.
    """
    nodes, constants = [], {constant.name: constant for constant in graph.initializer}
    names = {"": "", INPUT: INPUT, OUTPUT: OUTPUT}
    for node in _sorted(graph):
        node.name = f"{node.op_type}_{len(nodes)}"
        for role, values in (("input", node.input), ("output", node.output)):
            for place, name in enumerate(values):
                names.setdefault(name, f"{node.name}_{role}_{place}")
            values[:] = [names[name] for name in values]
        attributes = sorted(node.attribute, key=lambda attribute: attribute.name)
        copied = onnx.helper.make_node(node.op_type, node.input, node.output, node.name)
        copied.attribute.extend(attributes)
        nodes.append(copied)
    used = [constants[name] for name in names if name in constants]
    for constant in used:
        constant.name = names[constant.name]
    return onnx.helper.make_graph(nodes, "ferpipe", graph.input, graph.output, used)


def _sorted(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """The nodes that the output needs, each after those whose values it takes."""
    maker = {name: number for number, node in enumerate(graph.node) for name in node.output}
    done, waiting = {}, [maker[OUTPUT]]
    while waiting:
        needed = (maker[name] for name in graph.node[waiting[-1]].input if name in maker)
        missing = next((number for number in needed if number not in done), None)
        if missing is None:
            done[waiting.pop()] = True
        else:
            waiting.append(missing)
    return [graph.node[number] for number in done]

"""``student.onnx``: one graph from a raw volume to its mask, with the network of a bundle in it."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import AttributeProto, GraphProto, NodeProto, TensorProto, helper, numpy_helper
from onnxscript import optimizer

from custom_components.export import volume_graph

VOLUME = ["height", "width", "depth"]
OUTPUTS = {
    "mask": (TensorProto.UINT8, VOLUME),
    "probability": (TensorProto.FLOAT, VOLUME),
    "to_window": (TensorProto.DOUBLE, [2, 2]),
}
PREFIX = "network/"


def export_student(
    network: Path, image_size: int, field_of_view: float | None, notes: Mapping[str, str], file: Path
) -> None:
    """Write one ONNX file that segments a raw volume.

    Inputs: ``volume`` (H, W, D), float32, in RAS orientation; with a field of view also its ``affine`` (4, 4), float64,
    from voxel indices to mm.

    Outputs: ``mask`` (H, W, D), uint8, 0 or 1; ``probability`` (H, W, D), float32; with a field of view also
    ``to_window`` (2, 2), float64. Mask and probability lie on the volume's grid. The program that runs the file must
    keep the largest component of the mask. ``to_window`` holds, for rows and for columns, the factor and the offset
    that turn a voxel's index into its place in the window, in pixels of the network's slices.

    Args:
        network: ONNX file of :func:`export_onnx`, with one channel and two classes.
        image_size: side of the network's slices in pixels.
        field_of_view: side of the window in mm; None for the whole image.
        notes: become the file's ``metadata_props``.
        file: path of the new file.

    Raises:
        onnx.checker.ValidationError: if the file is no valid ONNX model.
    """
    inner = onnx.load(network)
    script = volume_graph.whole_images if field_of_view is None else volume_graph.windows
    # The optimizer replaces each call of a function by the function's nodes, which ONNX Runtime would do at each start.
    model = optimizer.optimize(script.to_model_proto())
    model.ir_version = inner.ir_version
    del model.opset_import[:]
    model.opset_import.extend(inner.opset_import)
    settings = {"image_size": np.array(image_size, np.int64)}
    if field_of_view is not None:
        settings["field_of_view"] = np.array(field_of_view, np.float64)
    _fix_inputs(model.graph, settings)
    body = _insert_network(model.graph, inner.graph)
    _use_leaky_relu(body)
    _drop_unused(body)
    for graph in graphs_of(model.graph):
        del graph.value_info[:]
    outputs = [helper.make_tensor_value_info(one.name, *OUTPUTS[one.name]) for one in model.graph.output]
    del model.graph.output[:]
    model.graph.output.extend(outputs)
    helper.set_model_props(model, dict(notes))
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, file)


def graphs_of(graph: GraphProto) -> Iterator[GraphProto]:
    """A graph, and the bodies of the loops in it."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.type == AttributeProto.GRAPH:
                yield from graphs_of(attribute.g)


def _fix_inputs(graph: GraphProto, settings: Mapping[str, np.ndarray]) -> None:
    """Turn the inputs that ``settings`` names into constants."""
    free = [one for one in graph.input if one.name not in settings]
    del graph.input[:]
    graph.input.extend(free)
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in settings.items())


def _insert_network(graph: GraphProto, network: GraphProto) -> GraphProto:
    """Replace the node that stands for the network by the network's nodes and weights.

    Returns:
        The graph that now holds them: the body of the Scan over the slices.
    """
    inner = onnx.compose.add_prefix_graph(network, PREFIX)
    body, place = next(
        (body, place)
        for body in graphs_of(graph)
        for place, node in enumerate(body.node)
        if node.domain == volume_graph.NETWORK.domain
    )
    node = body.node[place]
    enter = helper.make_node("Identity", node.input, [inner.input[0].name])
    leave = helper.make_node("Identity", [inner.output[0].name], node.output)
    nodes = [*body.node[:place], enter, *inner.node, leave, *body.node[place + 1 :]]
    del body.node[:]
    body.node.extend(nodes)
    body.initializer.extend(inner.initializer)
    return body


def _use_leaky_relu(graph: GraphProto) -> None:
    """Replace each PRelu that has a single slope by a LeakyRelu, which gives the same values.

    ONNX Runtime computes a LeakyRelu together with the convolution before it. So ENet needs two thirds of the time.
    """
    weights = {one.name: one for one in graph.initializer}
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        if node.op_type == "PRelu":
            slope = _weight(node.input[1], weights, makers)
            if slope is not None and slope.size == 1:
                leaky = helper.make_node("LeakyRelu", node.input[:1], node.output, alpha=float(slope.ravel()[0]))
                node.CopyFrom(leaky)


def _drop_unused(graph: GraphProto) -> None:
    """Remove the nodes and weights that no output depends on, such as the slopes of the former PRelus.

    ONNX Runtime would warn of them.
    """
    needed = {one.name for one in graph.output}
    kept = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            kept.append(node)
            needed.update(node.input)
    kept.reverse()
    weights = [one for one in graph.initializer if one.name in needed]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(kept)
    graph.initializer.extend(weights)


def _weight(name: str, weights: Mapping[str, TensorProto], makers: Mapping[str, NodeProto]) -> np.ndarray | None:
    """The values of a tensor, if it is a weight or a weight with additional axes; None for any other tensor."""
    while name not in weights and name in makers and makers[name].op_type in ("Unsqueeze", "Identity"):
        name = makers[name].input[0]
    return numpy_helper.to_array(weights[name]) if name in weights else None

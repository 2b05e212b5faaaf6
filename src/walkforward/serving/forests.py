"""A forest as one node of an ONNX graph, whatever its size, thresholds and leaves as in scikit-learn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn.ensemble import ExtraTreesRegressor, RandomForestRegressor
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor


def trees_of(model: Any) -> list[Any]:
    """The trees whose mean a model, or the last step of a pipeline, predicts; none when it is no forest."""
    last = model[-1] if isinstance(model, Pipeline) else model
    if type(last) in (RandomForestRegressor, ExtraTreesRegressor):
        trees = list(last.estimators_)
    else:
        trees = [last] if type(last) in (DecisionTreeRegressor, ExtraTreeRegressor) else []
    return trees if all(tree.tree_.n_outputs == 1 for tree in trees) else []


def trees_onnx(trees: list[Any], columns: int) -> bytes:
    """The mean of trees as a graph from X, doubles (n, columns), to floats (n, 1).

    X must have been rounded to single precision, as scikit-learn rounds it; thresholds stay doubles.
    """
    from onnx import AttributeProto, TensorProto, helper, numpy_helper

    counts = [tree.tree_.node_count for tree in trees]
    tree, node = np.repeat(np.arange(len(trees)), counts), np.concatenate([np.arange(n) for n in counts])

    def all_nodes(values: Callable[[Any], np.ndarray]) -> np.ndarray:
        return np.concatenate([values(each.tree_) for each in trees])

    leaf = all_nodes(lambda t: t.children_left) == -1
    mode = np.where(leaf, "LEAF", "BRANCH_LEQ").tolist()
    name = {"domain": "ai.onnx.ml", "n_targets": 1, "nodes_modes": mode}
    forest = helper.make_node("TreeEnsembleRegressor", ["X"], ["y"], **name)
    whole = {
        "nodes_treeids": tree,
        "nodes_nodeids": node,
        "nodes_featureids": np.where(leaf, 0, all_nodes(lambda t: t.feature)),
        "nodes_truenodeids": np.where(leaf, 0, all_nodes(lambda t: t.children_left)),
        "nodes_falsenodeids": np.where(leaf, 0, all_nodes(lambda t: t.children_right)),
        "nodes_missing_value_tracks_true": np.where(leaf, 0, all_nodes(lambda t: t.missing_go_to_left)),
        "target_treeids": tree[leaf],
        "target_nodeids": node[leaf],
        "target_ids": np.zeros(leaf.sum(), int),
    }
    real = {
        "nodes_values_as_tensor": np.where(leaf, 0, all_nodes(lambda t: t.threshold)),
        "target_weights_as_tensor": all_nodes(lambda t: t.value[:, 0, 0])[leaf] / len(trees),
    }
    for key, values in whole.items():  # helper.make_node looks at each of a million numbers
        forest.attribute.add(name=key, type=AttributeProto.INTS, ints=values.tolist())
    for key, values in real.items():
        forest.attribute.add(name=key, type=AttributeProto.TENSOR, t=numpy_helper.from_array(values, key))
    x = helper.make_tensor_value_info("X", TensorProto.DOUBLE, [None, columns])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("ai.onnx.ml", 3)]
    graph = helper.make_graph([forest], "trees", [x], [y])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9).SerializeToString()

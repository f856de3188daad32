"""Weights that several layers share because their ``param { name: ... }`` is the same.

As in Caffe, the first such layer owns them, a change to one is a change to all, and the gradient
is the sum over all of them.
"""

from cnnvis.core.errors import UserError


def shared_groups(graph, weight_shapes):
    """Return lists of (layer, number of the weight) that share one array, the owner first.

    Raises
    ------
    UserError
        If weights of one name differ in shape.
    """
    groups = {}
    for node in graph.nodes:
        for number, spec in enumerate(node.layer.param.param):
            if spec.name and number < len(weight_shapes.get(node.layer.name, [])):
                groups.setdefault(spec.name, []).append((node.layer.name, number))
    groups = {name: members for name, members in groups.items() if len(members) > 1}
    for name, members in groups.items():
        shapes = {weight_shapes[layer][number] for layer, number in members}
        if len(shapes) > 1:
            layers = ", ".join(layer for layer, _ in members)
            raise UserError(
                f"{graph.source}: layers {layers} share weights {name!r} but differ in their "
                f"shape: {', '.join(map(str, sorted(shapes)))}"
            )
    return list(groups.values())


def share(groups, params, changed=()):
    """Give every member of a group one array: that of a `changed` layer, else the owner's."""
    for members in groups:
        chosen = next((member for member in members if member[0] in changed), members[0])
        array = params[chosen[0]][chosen[1]]
        for layer, number in members:
            params[layer][number] = array


def partners(groups, layers):
    """Return the layers that share a weight with one of `layers`, without these."""
    found = {
        layer
        for members in groups
        if any(member[0] in layers for member in members)
        for layer, _ in members
    }
    return sorted(found.difference(layers))


def add_partners(groups, gradients):
    """Give every member of a group the sum of the group's gradients."""
    for members in groups:
        present = [member for member in members if member[0] in gradients]
        if len(present) > 1:
            total = sum(gradients[layer][number] for layer, number in present)
            for layer, number in present:
                gradients[layer][number] = total

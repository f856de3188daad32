"""Weights shared by several layers, whose ``param { name: ... }`` is the same.

As in Caffe, the first such layer owns them, a change in one layer is a change in all, and the
gradient is the sum over all of them.
"""

from cnnvis.core.errors import UserError


def shared_groups(graph, weight_shapes):
    """Return lists of (layer, index of the parameter) that share one array, the owner first.

    Raises
    ------
    UserError
        If weights with the same name differ in shape.
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
    """Assign one array to all members of a group: that of a `changed` layer, or the owner's."""
    for members in groups:
        chosen = next((member for member in members if member[0] in changed), members[0])
        array = params[chosen[0]][chosen[1]]
        for layer, number in members:
            params[layer][number] = array


def partners(groups, layers):
    """Return the other layers that share a weight with one of `layers`."""
    sharing = {
        layer
        for members in groups
        if any(member[0] in layers for member in members)
        for layer, _ in members
    }
    return sorted(sharing.difference(layers))


def add_partners(groups, gradients):
    """Assign the sum of a group's gradients to all its members."""
    for members in groups:
        present = [member for member in members if member[0] in gradients]
        if len(present) > 1:
            total = sum(gradients[layer][number] for layer, number in present)
            for layer, number in present:
                gradients[layer][number] = total

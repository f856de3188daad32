"""The optimal order of the leaves of a tree of clusters.

SciPy's own `optimal_leaf_ordering` is not used: it does not always return the optimum (SciPy's
issue 11227).
"""

import numpy as np


def order_leaves(tree, distances):
    """Turn the branches of a tree so that the sum of distances between neighbours is least.

    Of the 2^(leaves - 1) orders that the tree allows, the optimum is found by the dynamic program
    of Bar-Joseph, Gifford and Jaakkola (2001): the best order of a node's leaves from one outer
    leaf to another is that of its children, joined at their best inner leaves. Of equal ones the
    first counts.

    Parameters
    ----------
    tree : ndarray, (leaves - 1, 4)
        Of `scipy.cluster.hierarchy.linkage`.
    distances : ndarray, (leaves, leaves)

    Returns
    -------
    ndarray of int, (leaves,)
    """
    count = len(distances)
    children = {count + row: pair for row, pair in enumerate(tree[:, :2].astype(int).tolist())}
    leaves = {leaf: [leaf] for leaf in range(count)}
    # Of the best order from one outer leaf to another, which are never of the same child: as many
    # numbers in all nodes together as there are pairs of leaves.
    costs = dict.fromkeys(range(count))
    for node, (left, right) in children.items():
        leaves[node] = leaves[left] + leaves[right]
        across = distances[np.ix_(leaves[left], leaves[right])]
        costs[node] = _best_through(costs[right], _best_through(costs[left], across).T).T
    root = 2 * count - 2
    if root not in children:
        return np.zeros(1, int)
    ends = np.unravel_index(np.argmin(costs[root]), costs[root].shape)
    ends = [leaves[child][end] for child, end in zip(children[root], ends, strict=True)]
    order, todo = [], [(root, *ends)]
    while todo:
        node, first, last = todo.pop()
        if node < count:
            order.append(node)
            continue
        near, far = sorted(children[node], key=lambda child: first not in leaves[child])
        paths = (
            _costs_from(costs[near], leaves[near].index(first))[:, np.newaxis]
            + distances[np.ix_(leaves[near], leaves[far])]
            + _costs_from(costs[far], leaves[far].index(last))
        )
        left, right = np.unravel_index(np.argmin(paths), paths.shape)
        todo += [(far, leaves[far][right], last), (near, first, leaves[near][left])]
    return np.array(order)


def _best_through(costs, onwards):
    """Return the best costs from each leaf of a node, through it, to places behind it.

    Parameters
    ----------
    costs : ndarray, (leaves of its one child, leaves of its other child), or None for a leaf
    onwards : ndarray, (leaves, places)
        The costs from its leaves to these places.

    Returns
    -------
    ndarray, (leaves, places)
    """
    if costs is None:
        return onwards
    split = len(costs)
    ways = [_min_plus(costs, onwards[split:]), _min_plus(costs.T, onwards[:split])]
    return np.concatenate(ways)


def _costs_from(costs, place):
    """Return the costs from a leaf of a node to each; infinite where both are of one child."""
    if costs is None:
        return np.zeros(1)
    split, row = len(costs), np.full(sum(costs.shape), np.inf)
    if place < split:
        row[split:] = costs[place]
    else:
        row[:split] = costs[:, place - split]
    return row


def _min_plus(first, second):
    """Return the matrix product in which sums are minima and products are sums."""
    return np.stack([(row[:, np.newaxis] + second).min(axis=0) for row in first])

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
    costs = {leaf: np.zeros((1, 1)) for leaf in range(count)}
    for node, (left, right) in children.items():
        leaves[node], split = leaves[left] + leaves[right], len(leaves[left])
        across = distances[np.ix_(leaves[left], leaves[right])]
        joined = _min_plus(_min_plus(costs[left], across), costs[right])
        costs[node] = np.full((len(leaves[node]),) * 2, np.inf)
        costs[node][:split, split:], costs[node][split:, :split] = joined, joined.T
    root = 2 * count - 2
    ends = np.unravel_index(np.argmin(costs[root]), costs[root].shape)
    order, todo = [], [(root, *(leaves[root][end] for end in ends))]
    while todo:
        node, first, last = todo.pop()
        if node < count:
            order.append(node)
            continue
        near, far = sorted(children[node], key=lambda child: first not in leaves[child])
        paths = (
            costs[near][leaves[near].index(first), :, np.newaxis]
            + distances[np.ix_(leaves[near], leaves[far])]
            + costs[far][:, leaves[far].index(last)]
        )
        left, right = np.unravel_index(np.argmin(paths), paths.shape)
        todo += [(far, leaves[far][right], last), (near, first, leaves[near][left])]
    return np.array(order)


def _min_plus(first, second):
    """Return the matrix product in which sums are minima and products are sums."""
    return np.stack([(row[:, np.newaxis] + second).min(axis=0) for row in first])

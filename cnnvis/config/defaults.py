"""Defaults of a configuration: those of the schema, and those that depend on the networks."""

from cnnvis.core.arrays import cluster_numbers
from cnnvis.core.schema_errors import resolved

# Clusters of a k-means ordering without a number of its own.
CLUSTERS = 10
# Starts of the k-means of slices.
STARTS = {"study": 1000, "scikit-learn": 10}


def complete(value, schema, root=None):
    """Return a copy of `value` with the schema's defaults filled in.

    Of alternatives, the one that is a mapping is followed.

    >>> complete({}, {"properties": {"k": {"default": 7}}})
    {'k': 7}
    """
    root = root or schema
    schema = resolved(schema, root)
    if isinstance(value, list):
        return list(value)
    if not isinstance(value, dict):
        return value
    for alternative in schema.get("anyOf", []):
        alternative = resolved(alternative, root)
        if alternative.get("type") == "object":
            schema = alternative
    properties = schema.get("properties", {})
    defaults = {key: inner["default"] for key, inner in properties.items() if "default" in inner}
    others = schema.get("additionalProperties") or {}
    return {
        key: complete(item, properties.get(key, others), root)
        for key, item in {**defaults, **value}.items()
    }


def fit(config, keys, infos):
    """Return the configuration with orderings as mappings, and defaults that suit the networks.

    Parameters
    ----------
    config : dict
        Completed with the schema's defaults.
    keys : iterable of str
        The keys of ``slices`` that the user gave: their values stay.
    infos : dict of str to NetworkInfo
    """
    names = config["orderings"]
    orderings = {name: {} if isinstance(names, list) else dict(names[name] or {}) for name in names}
    slices = {"starts": STARTS[config["slices"]["method"]], **config["slices"]}
    shapes = [conv.shape for info in infos.values() for conv in info.convolutions.values()]
    if shapes:
        filters, height = min(shape[0] for shape in shapes), max(shape[1] for shape in shapes)
        for name, ordering in orderings.items():
            if ordering.get("method", name) == "kmeans":
                ordering.setdefault("k", min(CLUSTERS, filters))
        if "k" not in keys:
            slices["k"] = _possible(slices["k"], filters)
        if "rows" not in keys and min(slices["rows"]) >= height:
            slices["rows"] = [height // 2]
    return {**config, "orderings": orderings, "slices": slices}


def _possible(clusters, filters):
    """Return the numbers of clusters that so many filters allow.

    >>> _possible([3, 7, "20x5"], 4), _possible([7, "20x5"], 96)
    ([3, 4], [7, '20x5'])
    """
    pairs = [k for k in clusters if isinstance(k, str) and cluster_numbers(k)[0] <= filters]
    return sorted({min(k, filters) for k in clusters if isinstance(k, int)}) + pairs

"""Where each file of ``results/`` is: the one list of these places."""

from pathlib import Path

# Suffixes of a volume: headers for other programs, the study's, and the bytes.
HEADERS_FIRST = ("nhdr", "mhd", "hd", "vox")
# Where several patterns fit a path, the first one counts.
PLACES = {
    "methods page": "methods.html",
    "verification page": "verify.html",
    "parity page": "parity.html",
    "recovery page": "recovery.html",
    "network page": "{network}/index.html",
    "what-if network": "{network}/what-if.js",
    "filters": "{network}/filters/{layer}.png",
    "ordered filters": "{network}/filters/{ordering}/{layer}.png",
    "orderings page": "{network}/orderings/index.html",
    "orderings table": "{network}/orderings/{layer}.csv",
    "orderings picture": "{network}/orderings/{layer}.png",
    "shared ordering": "{network}/orderings/{ordering}/{layer}.json",
    "maximisation": "{network}/maximisation/{layer}.json",
    "maximisation pictures": "{network}/maximisation/{layer}.npz",
    "maximisation sheet": "{network}/maximisation/{layer}/{preset}.png",
    "responses": "{network}/responses/{layer}.json",
    "response arrays": "{network}/responses/{layer}.npz",
    "response page": "{network}/responses/{layer}.html",
    "response picture": "{network}/responses/images/{picture}.webp",
    "response filters": "{network}/responses/{layer}/filters.png",
    "response patches": "{network}/responses/{layer}/patches-{sheet}.webp",
    "response maps": "{network}/responses/{layer}/maps-{sheet}.webp",
    "lesions": "{network}/lesions/{layer}.json",
    "lesion arrays": "{network}/lesions/{layer}.npz",
    "lesion page": "{network}/lesions/{layer}.html",
    "lesion picture": "{network}/lesions/{layer}.png",
    "tuning page": "{network}/tuning/{layer}.html",
    "tuning picture": "{network}/tuning/{layer}.png",
    "tuning csv": "{network}/tuning/{layer}.csv",
    "tuning summary": "{network}/tuning/{layer}.json",
    "comparison page": "{network}/comparisons/{comparison}/index.html",
    "comparison channels viewer": "{network}/comparisons/{comparison}/{layer}.channels.html",
    "comparison viewer": "{network}/comparisons/{comparison}/{layer}.html",
    "comparison still": "{network}/comparisons/{comparison}/{layer}.still.png",
    "comparison channels nifti": "{network}/comparisons/{comparison}/{layer}.channels.nii.gz",
    "comparison nifti": "{network}/comparisons/{comparison}/{layer}.nii.gz",
    "comparison channels vtk": "{network}/comparisons/{comparison}/{layer}.channels.pvd",
    "comparison vtk": "{network}/comparisons/{comparison}/{layer}.pvd",
    "comparison channels frame": (
        "{network}/comparisons/{comparison}/{layer}/frame-{frame}.channels.vti"
    ),
    "comparison frame": "{network}/comparisons/{comparison}/{layer}/frame-{frame}.vti",
    "comparison animation": "{network}/comparisons/{comparison}/{layer}.webp",
    "comparison picture": "{network}/comparisons/{comparison}/{layer}.png",
    "comparison table": "{network}/comparisons/{comparison}/{layer}.csv",
    "comparison summary": "{network}/comparisons/{comparison}/{layer}.json",
    "classes page": "{network}/classes/index.html",
    "class page": "{network}/classes/{collection}/index.html",
    "class importance summary": "{network}/classes/{collection}/importance/{layer}.json",
    "class importance csv": "{network}/classes/{collection}/importance/{layer}.csv",
    "class importance picture": "{network}/classes/{collection}/importance/{layer}.png",
    "neuron importance summary": "{network}/classes/{collection}/neurons/{cls}/{layer}.json",
    "neuron importance csv": "{network}/classes/{collection}/neurons/{cls}/{layer}.csv",
    "neuron importance picture": "{network}/classes/{collection}/neurons/{cls}/{layer}.png",
    "criteria summary": "{network}/classes/{collection}/criteria/{layer}.json",
    "criteria csv": "{network}/classes/{collection}/criteria/{layer}.csv",
    "criteria picture": "{network}/classes/{collection}/criteria/{layer}.png",
    "pruning summary": "{network}/classes/{collection}/pruning/{layer}.json",
    "pruning csv": "{network}/classes/{collection}/pruning/{layer}.csv",
    "pruning svg": "{network}/classes/{collection}/pruning/{layer}.svg",
    "pruning picture": "{network}/classes/{collection}/pruning/{layer}.png",
    "pruned network": "{network}/classes/{collection}/pruned/{layer}-{share}.prototxt",
    "pruned weights": "{network}/classes/{collection}/pruned/{layer}-{share}.caffemodel",
    "pruned report": "{network}/classes/{collection}/pruned/{layer}-{share}.json",
    "page": "{network}/{image}/index.html",
    "what-if page": "{network}/{image}/what-if.html",
    "picture": "{network}/{image}/input.png",
    "input": "{network}/{image}/input.npy",
    "prediction": "{network}/{image}/prediction.json",
    "blobs": "{network}/{image}/blobs.npz",
    "ordering": "{network}/{image}/orderings/{ordering}/{layer}.json",
    "grid": "{network}/{image}/grids/{ordering}/{layer}.png",
    "maps": "{network}/{image}/grids/{layer}.js",
    "binary volume": "{network}/{image}/volumes/{ordering}/{layer}.binary.{volume}",
    "volume": "{network}/{image}/volumes/{ordering}/{layer}.{volume}",
    "slice clusters": "{network}/{image}/slices/{layer}/row-{row}/kmeans-{k}.png",
    "slice pca": "{network}/{image}/slices/{layer}/row-{row}/pca.png",
    "slice numbers": "{network}/{image}/slices/{layer}/row-{row}/slice.json",
    "slice stability": "{network}/{image}/slices/{layer}/stability.json",
    "slice stability picture": "{network}/{image}/slices/{layer}/stability.png",
    "gradients": "{network}/{image}/gradients/{cls}.npz",
    "gradient check": "{network}/{image}/gradients/{cls}.check.json",
    "gradient check picture": "{network}/{image}/gradients/{cls}.check.png",
    "gradient picture": "{network}/{image}/gradients/{cls}/{layer}.png",
    "gradient ordering": "{network}/{image}/gradients/{cls}/orderings/{ordering}/{layer}.json",
    "gradient ordered volume": (
        "{network}/{image}/gradients/{cls}/orderings/{ordering}/{layer}.{volume}"
    ),
    "gradient channels volume": "{network}/{image}/gradients/{cls}/{layer}.channels.{volume}",
    "gradient volume": "{network}/{image}/gradients/{cls}/{layer}.{volume}",
    "attributions": "{network}/{image}/attributions/{cls}.npz",
    "saliency picture": "{network}/{image}/attributions/{cls}/saliency.png",
    "saliency map": "{network}/{image}/attributions/{cls}/saliency.npy",
    "data gradient": "{network}/{image}/attributions/{cls}/data_gradient.npy",
    "attribution picture": "{network}/{image}/attributions/{cls}/{attribution}/{layer}.png",
    "attribution volume": "{network}/{image}/attributions/{cls}/{attribution}/{layer}.{volume}",
    "importance picture": "{network}/{image}/importance/{cls}/{layer}.png",
    "importance table": "{network}/{image}/importance/{cls}/{layer}.csv",
    "gradient channels viewer": "{network}/{image}/viewer/gradient-{cls}-{layer}.channels.html",
    "gradient viewer": "{network}/{image}/viewer/gradient-{cls}-{layer}.html",
    "viewer": "{network}/{image}/viewer/{layer}.html",
    "gradient figure": "{network}/{image}/figures/gradient-{cls}-{layer}.{format}",
    "figure": "{network}/{image}/figures/{layer}.{format}",
    "comparison figure": "{network}/comparisons/{comparison}/figures/{layer}.{format}",
}
PARTS = {"volume": "|".join(HEADERS_FIRST), "cls": r"\d+", "row": r"\d+", "k": r"\d+(?:x\d+)?"}
PARTS["format"] = "png|svg|webp"
PARTS["share"] = r"0\.\d+"


class Places:
    """Paths of result files whose network, image or the like is settled.

    Parameters
    ----------
    root : str or Path
        The results folder.
    **parts : str
        What stands for words in braces: network, image....

    Examples
    --------
    >>> str(Places("results", network="n", image="cat")("grid", ordering="pca", layer="conv1"))
    'results/n/cat/grids/pca/conv1.png'
    """

    def __init__(self, root, **parts):
        self._root, self._parts = Path(root), parts

    def __call__(self, kind, **parts):
        """Return the path of a file: its kind, a key of `PLACES`, and the remaining parts."""
        return self._root / PLACES[kind].format(**self._parts, **parts)

    def volumes(self, kind, **parts):
        """Return the ``.vox`` of a kind of volume and its three headers, the headers first."""
        return [self(kind, volume=suffix, **parts) for suffix in HEADERS_FIRST]

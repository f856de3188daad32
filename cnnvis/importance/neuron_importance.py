"""How important each filter is to a neuron over images of another class than its own.

The study showed this for neuron 281: the same neuron's importance over an image of its class and
over one of another, where no filter mattered nearly as much. Here it is averaged over image sets,
as in `cnnvis.importance.class_importance`.
"""

from cnnvis.core.arrays import significant
from cnnvis.core.files import write_json
from cnnvis.importance.class_importance import ClassImportance, write_table
from cnnvis.importance.neuron_importance_figure import draw_neuron_importance


def make_neuron_importance(
    sums_npz, own, table, summary, picture, *, layer, neuron, image_set, title
):
    """Write the importance of a layer's filters to a neuron: table, summary and picture.

    Parameters
    ----------
    sums_npz : str or Path
        Of `cnnvis.importance.class_importance.make_class_sums`, for this neuron.
    own : dict of str to path
        The same of image sets of the neuron's own class, if there are any.
    table : str or Path
        CSV, see `cnnvis.importance.class_importance.write_table`.
    summary : str or Path
        JSON: ``images``, ``skipped``, ``largest`` (the largest mean norm over each image set) and
        one ``sentence``.
    picture : str or Path
        PNG: the sorted norms over all of the image sets in one plot, and their maps.
    layer : str
    neuron : int
    image_set, title : str

    Raises
    ------
    UserError
        If a file has no such layer.
    """
    importance = ClassImportance.read(sums_npz, layer)
    others = {name: ClassImportance.read(path, layer).mean for name, path in own.items()}
    means = {**others, image_set: importance.mean}
    largest = {name: significant(mean.max()) for name, mean in means.items()}
    numbers = {
        "layer": layer,
        "collection": image_set,
        "cls": neuron,
        "images": importance.images,
        "skipped": importance.skipped,
        "largest": largest,
        "sentence": sentence(neuron, largest),
    }
    write_table(table, importance)
    write_json(summary, numbers)
    draw_neuron_importance(picture, means, numbers, title=title)


def sentence(neuron, largest):
    """Say in words how large the norms are over images of the neuron's class and of another.

    >>> sentence(281, {"tabby": 16.0, "corgi": 0.8})
    'The largest importance of a filter to neuron 281 is 0.8 over corgi, 16 over tabby (its class).'
    """
    *own, (other, most) = largest.items()
    beside = "".join(f", {value:.3g} over {name} (its class)" for name, value in own)
    return (
        f"The largest importance of a filter to neuron {neuron} is {most:.3g} over {other}{beside}."
    )

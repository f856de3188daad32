"""The pages people read: HTML that works offline, by double click, with nothing beside it.

Every function takes paths and writes one page. A page shows exactly what is passed to it
(`artefacts`: any files of ``results/``); nothing is looked for in folders, so nothing stale is ever
shown. Links are relative to the page, so the results folder can be moved or sent as it is.

Importing this module is cheap; Jinja2, Pillow and Matplotlib's colour tables are loaded when a page
is made.
"""

__all__ = [
    "make_comparison_page",
    "make_comparison_viewer",
    "make_gradient_viewer",
    "make_image_page",
    "make_index",
    "make_volume_viewer",
]


def make_volume_viewer(
    blobs, orderings, page, *, layer, blob, network, image, title=None, files=()
):
    """Write the 3D page of one layer's filter outputs, one panel per ordering.

    The voxels are embedded once, as the bytes of the ``.vox`` file, and put in each order by the
    page itself.

    Parameters
    ----------
    blobs : path
        ``blobs.npz``; its array `blob` is (filters, height, width).
    orderings : dict of str to path
        Ordering's name -> its JSON file, in the order of the panels.
    page : path
        ``results/{network}/{image}/viewer/{layer}.html``.
    layer, blob, network, image : str
        Names, as in the configuration and the network.
    title : str, optional
        Heading; made from the names where it is missing.
    files : iterable of path, optional
        Files of the same volume (``.nhdr``, ``.mhd``, ``.hd``...) to link, also shown where the
        browser cannot draw in 3D.

    Raises
    ------
    UserError
        If the blob is missing or is not a volume, or an ordering has another number of filters.
    """
    from cnnvis.pages.viewers import volume_viewer

    volume_viewer(blobs, orderings, page, layer, blob, network, image, title, files)


def make_gradient_viewer(gradients, page, *, layer, cls, network, image, title=None, files=()):
    """Write the 3D page of d neuron / d weights of one layer, in diverging colours.

    Parameters
    ----------
    gradients : path
        ``gradients/{cls}.npz``; its array `layer` is (filters, channels, kh, kw).
    page : path
        ``results/{network}/{image}/viewer/gradient-{cls}-{layer}.html``.
    layer, network, image : str
        Names, as in the configuration and the network.
    cls : int
        The neuron.
    title : str, optional
        Heading; made from the names where it is missing.
    files : iterable of path, optional
        Files of the same volume to link.

    Notes
    -----
    The volume is laid out as in `cnnvis.gradients.weight_gradients`: (filters, rows * kh, cols * kw).

    Raises
    ------
    UserError
        If the layer is missing.
    """
    from cnnvis.pages.viewers import gradient_viewer

    gradient_viewer(gradients, page, layer, cls, network, image, title, files)


def make_comparison_viewer(groups, page, *, layer, neuron, network, comparison, title=None):
    """Write the 3D time series over images of one neuron's gradients, on one common scale.

    Parameters
    ----------
    groups : list of dict
        One per image in the order of the frames, as for `cnnvis.gradients.comparisons.make_comparison`:
        ``{"group", "cls", "image", "correct", "gradients", ...}``.
    page : path
        ``results/{network}/comparisons/{comparison}/{layer}.html``.
    layer, network, comparison : str
        Names, as in the configuration and the network.
    neuron : int
        The neuron whose gradients are shown.
    title : str, optional
        Heading; made from the names where it is missing.

    Raises
    ------
    UserError
        If the layer is missing for one of the images or its shape differs between them.
    """
    from cnnvis.pages.viewers import comparison_viewer

    comparison_viewer(groups, page, layer, neuron, network, comparison, title)


def make_image_page(
    page,
    picture,
    *,
    network,
    image,
    prototxt,
    input,
    prediction,
    artefacts,
    mean,
    input_scale=1.0,
    channel_order="BGR",
    labels=None,
    input_shape=None,
):
    """Write the page of one image in one network, and the picture of what the network saw.

    Parameters
    ----------
    page : path
        ``results/{network}/{image}/index.html``.
    picture : path
        ``results/{network}/{image}/input.png``: the input as a picture again. A second output of
        the same rule; the index and the comparison pages show it.
    network, image : str
        Names, as in the configuration.
    prototxt : path
        The network, for the layers' order, names and sizes.
    input, prediction : path
        ``input.npy`` and ``prediction.json``.
    artefacts : iterable of path
        The files to show and to link, in any mix: ``filters/*.png``, ``orderings/*/*.json``,
        ``grids/*/*.png``, ``volumes/*/*.vox`` (and their headers), ``slices/*/*/*``,
        ``gradients/...``, ``attributions/...``, ``importance/...``, ``viewer/*.html``. Orderings
        are shown in the order in which they first appear. A path that is none of these raises
        `ValueError`.
    mean, input_scale, channel_order
        As given to `cnnvis.inputs.images.make_input`: how the picture is undone.
    labels : path, optional
        Class names, one per line, for naming the neurons of the gradients.
    input_shape : sequence of 3 int, optional
        (C, H, W), for a ``train_val.prototxt`` that does not say it itself.

    Raises
    ------
    UserError
        If an input cannot be read.
    """
    from cnnvis.pages.images import image_page

    image_page(
        page,
        picture,
        network=network,
        image=image,
        prototxt=prototxt,
        input=input,
        prediction=prediction,
        artefacts=artefacts,
        preprocessing={"mean": mean, "scale": input_scale, "channel_order": channel_order},
        labels=labels,
        input_shape=input_shape,
    )


def make_comparison_page(page, *, network, comparison, neuron, groups, artefacts, labels=None):
    """Write the page of one comparison: its images, and their gradients layer by layer.

    Parameters
    ----------
    page : path
        ``results/{network}/comparisons/{comparison}/index.html``.
    network, comparison : str
        Names, as in the configuration.
    neuron : int
        The neuron whose gradients are compared.
    groups : list of dict
        As for `make_comparison_viewer`; each one's ``prediction`` (a path) is read.
    artefacts : iterable of path
        The comparison's ``{layer}.png``, ``.csv``, ``.json`` and ``.html``, its series
        (``.nii.gz``, ``.pvd``, ``.webp``, ``.gif``, ``.still.png``), and of each image
        ``input.png`` and ``index.html``. Layers are shown in the order in which they appear.
    labels : path, optional
        Class names, one per line.

    Raises
    ------
    UserError
        If an input cannot be read.
    """
    from cnnvis.pages.comparisons import comparison_page

    comparison_page(page, network, comparison, neuron, groups, artefacts, labels)


def make_index(page, *, artefacts):
    """Write ``results/index.html``: every network, image and comparison, and how to open the files.

    Parameters
    ----------
    page : path
        ``results/index.html``.
    artefacts : iterable of path
        Of each image ``index.html``, ``input.png`` and ``prediction.json``; of each comparison
        ``index.html`` and pictures ``{layer}.png``; ``classes/index.html``, importance pictures
        and ``filters/*.png`` of each network. Everything is shown in the order in which it first
        appears.

    Raises
    ------
    UserError
        If a prediction cannot be read.
    """
    from cnnvis.pages.index import index_page

    index_page(page, artefacts)


def make_parity_page(page, report, *, reports):
    """Write ``results/parity.html``, and the reports of all networks as one JSON file.

    Parameters
    ----------
    page, report : path
        ``results/parity.html`` and ``results/parity.json``.
    reports : iterable of path
        ``parity.json`` of each network (see `cnnvis.checks.engine_parity`).

    Raises
    ------
    UserError
        If a report cannot be read.
    """
    from cnnvis.pages.parity import parity_page

    parity_page(page, report, reports)


def make_classes_page(page, *, network, artefacts):
    """Write ``results/{network}/classes/index.html``: importance and pruning of each collection.

    Parameters
    ----------
    page : path
    network : str
    artefacts : iterable of path
        ``classes/{collection}/importance/{layer}.json``, ``.csv`` and ``.png``, and the same under
        ``pruning/``, with ``.svg``. Everything is shown in the order in which it first appears.

    Raises
    ------
    UserError
        If a summary cannot be read.
    """
    from cnnvis.pages.classes import classes_page

    classes_page(page, network, artefacts)

"""Orders over several images: those of all images side by side, whatever they are read from."""

import json

import numpy as np
import pytest
from skimage.io import imsave

from cnnvis.activations import shared_orderings
from cnnvis.activations.orderings import describe_order
from cnnvis.core.arrays import write_arrays
from cnnvis.core.errors import UserError
from cnnvis.core.files import read_json
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.inputs.image_sets import Chunk, ImageSet
from cnnvis.inputs.images import Preprocessing
from cnnvis.inputs.streaming import CHUNK, Streams

TABLE = {"how": {"method": "shortest"}, "by": "feature_maps", "neuron": None, "shared": True}
LAYERS = {"conv1": "conv1", "conv2": "conv2"}
THIN = "tests/goldens/caffenet_thin"


@pytest.fixture
def files(tmp_path):
    places = Places(tmp_path, network="net")
    random = np.random.default_rng(0)
    for image in ("cat", "dog"):
        maps = {"conv1": random.normal(size=(7, 4, 4)), "conv2": random.normal(size=(5, 2, 3))}
        write_arrays(places("blobs", image=image), maps)
        write_arrays(places("gradients", image=image, cls=3), {"conv1": random.normal(size=(6, 2))})
    return places


def side_by_side(files, kind, name, **parts):
    tensors = [np.load(files(kind, image=image, **parts))[name] for image in ("cat", "dog")]
    return np.hstack([tensor.reshape(len(tensor), -1) for tensor in tensors])


def order_of(files, layer, ordering="both"):
    return read_json(files("shared ordering", ordering=ordering, layer=layer))


@pytest.mark.parametrize("method", ["natural", "pca", "shortest", "leaf"])
def test_over_images_it_is_the_order_of_their_maps_side_by_side(files, method):
    table = {**TABLE, "how": {"method": method}, "images": ["cat", "dog"], "collection": None}
    shared_orderings.make_ordering_over_images(files, "both", table, LAYERS)
    for layer in LAYERS:
        order = order_of(files, layer)
        beside = describe_order(side_by_side(files, "blobs", layer), {}, method)
        assert order["permutation"] == beside["permutation"]
        assert (order["blob"], order["over"]) == (layer, ["cat", "dog"])


def test_by_gradients(files):
    table = {**TABLE, "by": "gradients", "neuron": 3, "images": ["cat", "dog"], "collection": None}
    shared_orderings.make_ordering_over_images(files, "both", table, {"conv1": "conv1"})
    order = order_of(files, "conv1")
    beside = describe_order(side_by_side(files, "gradients", "conv1", cls=3), {}, "shortest")
    assert order["permutation"] == beside["permutation"]
    assert (order["neuron"], order["over"]) == (3, ["cat", "dog"])
    assert "blob" not in order


def test_a_missing_layer_is_named_and_nothing_is_written(files):
    table = {**TABLE, "images": ["cat", "dog"], "collection": None}
    layers = {"conv1": "conv1", "conv9": "conv9"}
    with pytest.raises(UserError, match="no blob 'conv9'; it holds conv1, conv2"):
        shared_orderings.make_ordering_over_images(files, "both", table, layers)
    assert not files("shared ordering", ordering="both", layer="conv1").exists()


def test_what_an_images_job_reads_and_makes(files, tmp_path):
    table = {**TABLE, "images": ["cat", "dog"], "collection": None}
    shared_orderings.make_ordering_over_images(files, "both", table, LAYERS)
    own = {**TABLE, "by": "gradients", "neuron": 3, "shared": False}
    orderings = {"own": own, "pca": {**own, "by": "shown", "neuron": None}, "both": table}
    image = Places(tmp_path, network="net", image="cat")
    orders = shared_orderings.orders_of_maps(image, "conv1", list(orderings), orderings)
    assert set(orders) == {"own", "both"}
    assert orders["both"] == order_of(files, "conv1")
    assert orders["own"] == json.loads(image("ordering", ordering="own", layer="conv1").read_text())
    assert len(orders["own"]["permutation"]) == 6
    assert shared_orderings.read_orders(image, "conv1", ["both"]) == {"both": orders["both"]}


@pytest.fixture
def moons(tmp_path):
    folder, random = tmp_path / "moons", np.random.default_rng(1)
    folder.mkdir()
    for number in range(CHUNK + 2):
        imsave(folder / f"{number:02}.png", random.integers(0, 255, (20, 20, 3), dtype=np.uint8))
    (folder / "07.png").write_bytes(b"not a picture")
    return ImageSet("moons", str(folder), 1)


def order_moons(files, moons):
    model = Model(f"{THIN}.prototxt", f"{THIN}.caffemodel", score="fc8")
    preprocessing = Preprocessing(model.info.input_shape, [104.0, 117.0, 123.0])
    table = {**TABLE, "images": [], "collection": "moons"}
    output = files("shared ordering", ordering="all", layer="conv1")
    streams = Streams(model, preprocessing, output, threads=1)
    shared_orderings.make_ordering_over_collection(streams, files, "all", table, LAYERS, moons)
    return model, preprocessing


def test_over_a_collection_it_is_that_of_its_images(files, moons, monkeypatch):
    """An interrupted run, resumed, ends the same, and leaves no checkpoint."""
    original, batches = shared_orderings.CollectionMaps.add, []

    def add(maps, inputs):
        batches.append(len(inputs.images))
        if len(batches) == 2:
            raise KeyboardInterrupt
        original(maps, inputs)

    monkeypatch.setattr(shared_orderings.CollectionMaps, "add", add)
    with pytest.raises(KeyboardInterrupt):
        order_moons(files, moons)
    model, preprocessing = order_moons(files, moons)
    assert batches == [CHUNK - 1, 2, 2]
    order = order_of(files, "conv2", "all")
    assert (order["over"], order["images"], order["skipped"]) == (
        "moons",
        CHUNK + 1,
        [moons.images[7]],
    )
    good = moons.images[:7] + moons.images[8:]
    with model.open(1) as network:
        maps = [network.forward(preprocessing(image)[None], ["conv2"])["conv2"] for image in good]
    beside = np.hstack([each[0].reshape(len(each[0]), -1) for each in maps]).astype(np.float64)
    assert order["permutation"] == describe_order(beside, {}, "shortest")["permutation"]
    folder = files("shared ordering", ordering="all", layer="conv2").parent
    assert sorted(path.name for path in folder.iterdir()) == ["conv1.json", "conv2.json"]


def test_maps_that_are_not_finite(files, moons):
    class Broken:
        def forward(self, inputs, blobs):
            return {blob: np.full((len(inputs), 3, 2, 2), np.nan) for blob in blobs}

    maps = shared_orderings.CollectionMaps(Broken(), {"conv1": "relu1"}, {"conv1": 3})
    with pytest.raises(UserError, match="blob 'relu1': 12 of 12 values are NaN"):
        maps.add(Chunk(["a.png"], np.zeros((1, 3, 4, 4)), []))

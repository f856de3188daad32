"""Average the gradients' norms over an image set, for all layers in one pass."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.streaming import Streams

with job(snakemake):
    make_class_sums(
        Streams.of(Model(**snakemake.params.model), snakemake),
        ImageSet(**snakemake.params.image_set),
        neuron=None if snakemake.params.neuron is None else int(snakemake.params.neuron),
        layers=snakemake.params.layers,
        criteria=snakemake.params.criteria,
    )

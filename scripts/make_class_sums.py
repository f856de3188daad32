"""Average the gradients' norms over an image set, for all layers in one pass."""

from cnnvis.core.jobs import job
from cnnvis.engines.model import Model
from cnnvis.importance.class_importance import make_class_sums
from cnnvis.inputs.image_sets import ImageSet
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    make_class_sums(
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        ImageSet(**snakemake.params.image_set),
        snakemake.output[0],
        neuron=None if snakemake.params.neuron is None else int(snakemake.params.neuron),
        layers=snakemake.params.layers,
        criteria=snakemake.params.criteria,
        code=snakemake.params.code,
        threads=snakemake.threads,
    )

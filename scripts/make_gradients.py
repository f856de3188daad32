"""Differentiate one neuron with respect to the weights of layers and to the input."""

from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.gradients.weight_gradients import make_gradients
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    network, image = (snakemake.wildcards[name] for name in ("network", "image"))
    make_gradients(
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        Places("results", network=network, image=image),
        cls=int(snakemake.params.cls),
        layers=snakemake.params.layers,
        kinds=snakemake.params.kinds,
        threads=snakemake.threads,
        title=snakemake.params.title,
    )

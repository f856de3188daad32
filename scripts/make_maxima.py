"""Search the pictures that drive a layer's filters, or a network's neurons, most."""

from cnnvis.config.presets import Preset
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.gradients.maximised_layers import Wanted, make_maxima
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    presets = {name: Preset(**each) for name, each in snakemake.params.presets.items()}
    make_maxima(
        Model(**snakemake.params.model),
        Preprocessing(**snakemake.params.preprocessing),
        Wanted(**snakemake.params.wanted, presets=presets, seeds=snakemake.params.seeds),
        Places("results", **snakemake.params.place),
        title="What drives {layer} of {network}".format(**snakemake.params.place),
        labels=next(iter(snakemake.input.labels), None),
        code=snakemake.params.code,
        threads=snakemake.threads,
    )

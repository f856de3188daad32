"""Say what each filter of a first convolution is tuned to, as a table, a chart and a page."""

from cnnvis.activations.layer_tuning import make_layer_tuning
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.engines.model import Model
from cnnvis.pages.tuning import tuning_page

with job(snakemake):
    files = Places("results", **snakemake.params.place)
    tuning = make_layer_tuning(
        files,
        Model(**snakemake.params.model),
        layer=snakemake.params.layer,
        **snakemake.params.place,
        channel_order=snakemake.params.channel_order,
    )
    tuning_page(files, tuning)

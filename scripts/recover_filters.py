"""Recover the filters of a first layer from its outputs on one image."""

from cnnvis.checks.filter_recovery import Geometry, make_recovery
from cnnvis.core.jobs import job
from cnnvis.inputs.images import Preprocessing

with job(snakemake):
    make_recovery(
        snakemake.input.volume,
        snakemake.params.image,
        *snakemake.output,
        preprocessing=Preprocessing(**snakemake.params.preprocessing),
        geometry=Geometry(**snakemake.params.geometry),
        layer=snakemake.params.layer,
        crop=snakemake.params.crop,
    )

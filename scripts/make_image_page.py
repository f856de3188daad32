"""Make the page of one image in one network."""

from cnnvis.core.jobs import job
from cnnvis.pages import make_image_page

OUTPUTS = ("filters", "orderings", "grids", "volumes", "binary_volumes", "slices")
GRADIENTS = (
    "gradients",
    "checks",
    "saliency",
    "attributions",
    "importance",
    "volume_viewers",
    "gradient_viewers",
)

with job(snakemake):
    make_image_page(
        snakemake.output.page,
        snakemake.output.picture,
        network=snakemake.wildcards.network,
        image=snakemake.wildcards.image,
        prototxt=snakemake.input.prototxt,
        input=snakemake.input.array,
        prediction=snakemake.input.prediction,
        artefacts=[path for kind in OUTPUTS + GRADIENTS for path in snakemake.input[kind]],
        mean=snakemake.params.mean,
        input_scale=snakemake.params.input_scale,
        channel_order=snakemake.params.channel_order,
        input_shape=snakemake.params.input_shape,
        labels=next(iter(snakemake.input.labels), None),
    )

"""Draw the gradients of all images of a comparison as volumes for papers, on one scale."""

from cnnvis.core.files import safe_name
from cnnvis.core.jobs import job
from cnnvis.core.places import Places
from cnnvis.core.volume_figures import FORMATS, draw_volumes
from cnnvis.gradients.comparisons import Comparison, read_members
from cnnvis.gradients.volumes import sum_channels

with job(snakemake):
    params, place = snakemake.params, snakemake.params.place
    files = Places("results", **place)
    members = read_members(files, params.members, params.neuron, predicted=False)
    for layer in params.layers:
        names = {"name": place["comparison"], "network": place["network"]}
        comparison = Comparison.read(members, layer, neuron=params.neuron, **names)
        draw_volumes(
            [files("comparison figure", layer=safe_name(layer), format=end) for end in FORMATS],
            {
                f"{member.group}: {member.image}": sum_channels(gradient)
                for member, gradient in zip(members, comparison.gradients, strict=True)
            },
            title=comparison.title,
            label="gradient",
        )

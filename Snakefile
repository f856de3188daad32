"""The CNN-VIS study: look inside Caffe networks, from photographs to pages in a browser.

Stages are included in the order in which data passes them; each says what goes in and comes out.
"""

from snakemake.utils import min_version

min_version("9.14")


# The checked configuration, and what the stages share.
include: "workflow/common.smk"
# What comes from elsewhere: downloads, image sets, filters recovered from published results.
include: "workflow/inputs.smk"
include: "workflow/recovery.smk"
# 1. What each filter gives for an image: feature maps, their orderings, slices and volumes.
include: "workflow/activations.smk"
# 2. What a neuron depends on: gradients by the weights of the filters, checked and ranked.
include: "workflow/gradients.smk"
# What would drive a filter or a neuron most, whatever the image.
include: "workflow/maximisation.smk"
# Orders over several images, in which the pictures of all can be compared; how good all orders are.
include: "workflow/orderings.smk"
# 3. The same neuron over a reference, a similar and a dissimilar class, as time series.
include: "workflow/comparisons.smk"
# 4. What holds for a class: the importance of filters, and what pruning them costs.
include: "workflow/classes.smk"
# 5. What each filter responds to, over many images, and which classes lose without it.
include: "workflow/responses.smk"
include: "workflow/lesions.smk"
# Pages, figures for papers; is it right (parity with Caffe), is it the study? What runs again?
include: "workflow/pages.smk"
include: "workflow/figures.smk"
include: "workflow/parity.smk"
include: "workflow/reproduction.smk"
include: "workflow/state.smk"


rule all:
    default_target: True
    input:
        "results/index.html",
    message:
        "Everything is made: open results/index.html."

"""The CNN-VIS study: look inside Caffe networks, from photographs to pages in a browser.

Stages are included in the order in which they run; each says what it takes and makes.
"""

from snakemake.utils import min_version

min_version("9.5")

# A config of one's own stands alone: the default run is read only where none is given.
if not workflow.overwrite_configfiles:

    configfile: "config/config.yaml"


include: "workflow/common.smk"
include: "workflow/downloads.smk"
include: "workflow/recovery.smk"
include: "workflow/activations.smk"
include: "workflow/gradients.smk"
include: "workflow/checks.smk"
include: "workflow/comparisons.smk"
include: "workflow/collections.smk"
include: "workflow/classes.smk"
include: "workflow/pages.smk"
include: "workflow/parity.smk"
include: "workflow/reproduction.smk"


rule all:
    default_target: True
    input:
        "results/index.html",
    message:
        "Everything is made: open results/index.html."

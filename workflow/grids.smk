"""Filters and their outputs as pictures.

Input: results/{network}/{image}/blobs.npz and orderings/{ordering}/{layer}.json; the network.
Output: results/{network}/filters/{layer}.png, the filters of a convolution themselves;
results/{network}/{image}/grids/{ordering}/{layer}.png, what they give for an image, in order.
"""


rule filters:
    input:
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
    output:
        "results/{network}/filters/{layer}.png",
    log:
        "logs/{network}/filters/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        channel_order=lookup(dpath="{network}/channel_order", within=tables["networks"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        code=code("make_filters.py"),
    message:
        "Draw the filters of {wildcards.layer} in {wildcards.network}."
    script:
        "../scripts/make_filters.py"


rule grid:
    input:
        blobs="results/{network}/{image}/blobs.npz",
        ordering="results/{network}/{image}/orderings/{ordering}/{layer}.json",
    output:
        "results/{network}/{image}/grids/{ordering}/{layer}.png",
    log:
        "logs/{network}/{image}/grids/{ordering}/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        blob=lookup(dpath="{network}/{layer}/blob", within=tables["layers"]),
        code=code("make_grid.py"),
    message:
        "Draw the outputs of {wildcards.layer} on {wildcards.image}, {wildcards.ordering} order."
    script:
        "../scripts/make_grid.py"

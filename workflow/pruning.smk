"""What a class's error rate becomes when its least or most important filters are removed.

Input: results/{network}/classes/{collection}/importance.npz; the images of all collections.
Output: results/{network}/classes/{collection}/pruning/{layer}.csv, .json, .png and .svg.
"""


rule pruning:
    input:
        importance="results/{network}/classes/{collection}/importance.npz",
        made=lookup(dpath="{network}/{collection}/made", within=tables["classes"]),
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
    output:
        table="results/{network}/classes/{collection}/pruning/{layer}.csv",
        summary="results/{network}/classes/{collection}/pruning/{layer}.json",
        picture="results/{network}/classes/{collection}/pruning/{layer}.png",
        vector_picture="results/{network}/classes/{collection}/pruning/{layer}.svg",
    log:
        "logs/{network}/classes/{collection}/pruning/{layer}.log",
    benchmark:
        "logs/{network}/classes/{collection}/pruning/{layer}.tsv"
    conda:
        environment
    threads: lookup(dpath="{network}/threads", within=tables["networks"])
    params:
        engine=tables["engine"],
        engine_options=lookup(dpath="{network}/engine_options", within=tables["networks"]),
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean", within=tables["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=tables["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=tables["networks"]),
        collections=lookup(dpath="{network}/{collection}/counted", within=tables["classes"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        pruning=tables["pruning"],
        code=code("make_pruning.py"),
    message:
        "Remove filters of {wildcards.layer} by their importance to {wildcards.collection}."
    script:
        "../scripts/make_pruning.py"

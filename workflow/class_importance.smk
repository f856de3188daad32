"""How much each filter matters to a class: norms of gradients, averaged over a collection.

Input: the collection's images; the network's prototxt and weights.
Output: results/{network}/classes/{collection}/importance.npz, averages for all layers;
results/{network}/classes/{collection}/importance/{layer}.csv, .json and .png.
"""


rule class_sums:
    input:
        made=lookup(dpath="{collection}/made", within=study["collections"]),
        prototxt=lookup(dpath="{network}/prototxt", within=study["networks"]),
        weights=lookup(dpath="{network}/weights", within=study["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=study["networks"]),
    output:
        "results/{network}/classes/{collection}/importance.npz",
    log:
        "logs/{network}/classes/{collection}/importance.log",
    benchmark:
        "logs/{network}/classes/{collection}/importance.tsv"
    conda:
        environment
    threads: lookup(dpath="{network}/threads", within=study["networks"])
    params:
        engine=study["engine"],
        engine_options=lookup(dpath="{network}/engine_options", within=study["networks"]),
        score=lookup(dpath="{network}/score", within=study["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=study["networks"]),
        mean=lookup(dpath="{network}/mean", within=study["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=study["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=study["networks"]),
        collection=lookup(dpath="{collection}", within=study["collections"]),
        layers=lookup(dpath="{network}", within=study["summed"]),
        code=code("make_class_sums.py"),
    message:
        "Average the gradients of {wildcards.network} over {wildcards.collection}."
    script:
        "../scripts/make_class_sums.py"


rule class_importance:
    input:
        sums="results/{network}/classes/{collection}/importance.npz",
        others=collect(
            "results/{{network}}/classes/{other}/importance.npz",
            other=lookup(dpath="{network}/{collection}/others", within=study["classes"]),
        ),
    output:
        table="results/{network}/classes/{collection}/importance/{layer}.csv",
        summary="results/{network}/classes/{collection}/importance/{layer}.json",
        picture="results/{network}/classes/{collection}/importance/{layer}.png",
    log:
        "logs/{network}/classes/{collection}/importance/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=study["layers"]),
        cls=lookup(dpath="{collection}/cls", within=study["collections"]),
        others=lookup(dpath="{network}/{collection}/others", within=study["classes"]),
        code=code("make_class_importance.py"),
    message:
        "Weigh the filters of {wildcards.layer} for {wildcards.collection}."
    script:
        "../scripts/make_class_importance.py"

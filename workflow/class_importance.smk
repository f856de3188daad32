"""How much each filter matters to a class: norms of gradients, averaged over a collection.

Input: the collection's images; the network's prototxt and weights.
Output: results/{network}/classes/{collection}/importance.npz, averages for all layers;
results/{network}/classes/{collection}/importance/{layer}.csv, .json and .png.
"""


rule class_sums:
    input:
        made=lookup(dpath="{collection}/made", within=tables["collections"]),
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
    output:
        "results/{network}/classes/{collection}/importance.npz",
    log:
        "logs/{network}/classes/{collection}/importance.log",
    benchmark:
        "logs/{network}/classes/{collection}/importance.tsv"
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
        collection=lookup(dpath="{collection}", within=tables["collections"]),
        layers=lookup(dpath="{network}", within=tables["summed"]),
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
            other=lookup(dpath="{network}/{collection}/others", within=tables["classes"]),
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
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        cls=lookup(dpath="{collection}/cls", within=tables["collections"]),
        others=lookup(dpath="{network}/{collection}/others", within=tables["classes"]),
        code=code("make_class_importance.py"),
    message:
        "Weigh the filters of {wildcards.layer} for {wildcards.collection}."
    script:
        "../scripts/make_class_importance.py"

"""What holds for a class rather than for one image: the filters it depends on, and pruning them.

Input: the images of all image sets (`collections`); the network's prototxt and weights.
Output: results/{network}/classes/{collection}/importance.npz, averages for all layers;
results/{network}/classes/{collection}/importance/{layer}.csv, .json and .png;
results/{network}/classes/{collection}/pruning/{layer}.csv, .json, .png and .svg.
"""


rule class_sums:
    """Average the gradients of a class's neuron over its images, in one pass for all layers.

    What comes out are, for each filter, the mean and the spread of its gradient's norm over the
    images, and what the images' agreement is computed from.
    """
    input:
        folders=lookup(dpath="{collection}/folders", within=tables["collections"]),
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
    output:
        "results/{network}/classes/{collection}/importance.npz",
    log:
        "logs/{network}/classes/{collection}/importance.log",
    benchmark:
        "logs/{network}/classes/{collection}/importance.tsv"
    priority: 1  # The longest chain of jobs of a run begins first.
    conda:
        environment
    threads: lookup(dpath="{network}/threads", within=tables["networks"])
    params:
        model=lookup(dpath="{network}/model", within=tables["networks"]),
        preprocessing=lookup(dpath="{network}/preprocessing", within=tables["networks"]),
        image_set=lookup(dpath="{collection}/image_set", within=tables["collections"]),
        images=lookup(dpath="{collection}/images", within=tables["collections"]),
        layers=lookup(dpath="{network}", within=tables["summed"]),
        code=code("make_class_sums.py"),
    message:
        "Average the gradients of {wildcards.network} over {wildcards.collection}."
    script:
        "../scripts/make_class_sums.py"


rule class_importance:
    """Rank a layer's filters by their importance to a class; compare its images with others.

    What comes out is a table of the filters, one sentence that says whether importance is a
    property of the class, and a picture.
    """
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
        image_set=lookup(dpath="{collection}/image_set", within=tables["collections"]),
        others=lookup(dpath="{network}/{collection}/others", within=tables["classes"]),
        code=code("make_class_importance.py"),
    message:
        "Compute the importance of {wildcards.layer}'s filters to {wildcards.collection}."
    script:
        "../scripts/make_class_importance.py"


rule pruning:
    """Prune a layer in the order of its filters' importance to a class, and count the errors.

    What comes out are the error rates of the class and of the others without the least, the most
    and random filters, as a table, as the study's three cases, and as pictures.
    """
    input:
        importance="results/{network}/classes/{collection}/importance.npz",
        folders=lookup(dpath="{network}/{collection}/folders", within=tables["classes"]),
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
    priority: 1  # The longest chain of jobs of a run begins first.
    conda:
        environment
    threads: lookup(dpath="{network}/threads", within=tables["networks"])
    params:
        model=lookup(dpath="{network}/model", within=tables["networks"]),
        preprocessing=lookup(dpath="{network}/preprocessing", within=tables["networks"]),
        image_sets=lookup(dpath="{network}/{collection}/image_sets", within=tables["classes"]),
        images=lookup(dpath="{network}/{collection}/images", within=tables["classes"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        pruning=tables["pruning"],
        code=code("make_pruning.py"),
    message:
        "Prune {wildcards.layer} of {wildcards.network} by importance to {wildcards.collection}."
    script:
        "../scripts/make_pruning.py"

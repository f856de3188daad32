"""What holds for a class rather than for one image: the filters it depends on, and pruning them.

Input: the images of all image sets (`collections`); the network's prototxt and weights.
Output: results/{network}/classes/{collection}/importance.npz, averages for all layers;
results/{network}/classes/{collection}/importance/{layer}.csv, .json and .png;
results/{network}/classes/{collection}/neurons/{cls}.npz and {cls}/{layer}.csv, .json and .png, the
same for a neuron of another class;
results/{network}/classes/{collection}/effects/{layer}.npz, what the removal of each filter does;
results/{network}/classes/{collection}/criteria/{layer}.csv, .json and .png, whether criteria say so;
results/{network}/classes/{collection}/pruning/{layer}.csv, .json, .png and .svg;
results/{network}/classes/{collection}/pruned/{layer}-{share}.prototxt, .caffemodel and .json, the
network without these filters.
"""


rule class_sums:
    """Average the gradients of a class's neuron over its images, in one pass for all layers.

    What comes out are, for each filter, the mean and the spread of its gradient's norm over the
    images, and what the images' agreement is computed from.
    """
    input:
        folders=entry("collections", "{collection}", "folders"),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        mean=entry("networks", "{network}", "mean_file"),
        parts=parts_of(
            "results/{network}/classes/{collection}/.importance.{portion}",
            "collections",
            "{collection}",
        ),
    output:
        "results/{network}/classes/{collection}/importance.npz",
    log:
        "logs/{network}/classes/{collection}/importance.log",
    benchmark:
        "logs/{network}/classes/{collection}/importance.tsv"
    priority: 1  # The longest chain of jobs of a run begins first.
    conda:
        environment
    threads: entry("networks", "{network}", "threads")
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
        runtime=720,
    params:
        model=entry("networks", "{network}", "model"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        image_set=entry("collections", "{collection}", "image_set"),
        images=entry("collections", "{collection}", "images"),
        neuron=entry("collections", "{collection}", "image_set", "cls"),
        layers=entry("summed", "{network}"),
        criteria=entry("classes", "{network}", "{collection}", "criteria"),
        code=code("make_class_sums.py"),
    message:
        "Average the gradients of {wildcards.network} over {wildcards.collection}."
    script:
        "../scripts/make_class_sums.py"


use rule class_sums as class_sums_part with:
    output:
        temp(directory("results/{network}/classes/{collection}/.importance.{portion}")),
    log:
        "logs/{network}/classes/{collection}/parts/importance.{portion}.log",
    benchmark:
        "logs/{network}/classes/{collection}/parts/importance.{portion}.tsv"
    params:
        portion=entry("collections", "{collection}", "portions", "{portion}"),
    message:
        "Average the gradients of {wildcards.network} over portion {wildcards.portion} of "
        "{wildcards.collection}."


use rule class_sums as neuron_sums with:
    input:
        folders=entry("collections", "{collection}", "folders"),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        mean=entry("networks", "{network}", "mean_file"),
        parts=parts_of(
            "results/{network}/classes/{collection}/neurons/.{cls}.{portion}",
            "collections",
            "{collection}",
        ),
    output:
        "results/{network}/classes/{collection}/neurons/{cls}.npz",
    log:
        "logs/{network}/classes/{collection}/neurons/{cls}.log",
    benchmark:
        "logs/{network}/classes/{collection}/neurons/{cls}.tsv"
    params:
        neuron="{cls}",
        criteria=[],
    message:
        "Average the gradients of neuron {wildcards.cls} of {wildcards.network} over "
        "{wildcards.collection}, images of another class."


use rule neuron_sums as neuron_sums_part with:
    output:
        temp(directory("results/{network}/classes/{collection}/neurons/.{cls}.{portion}")),
    log:
        "logs/{network}/classes/{collection}/parts/neurons/{cls}.{portion}.log",
    benchmark:
        "logs/{network}/classes/{collection}/parts/neurons/{cls}.{portion}.tsv"
    params:
        portion=entry("collections", "{collection}", "portions", "{portion}"),
    message:
        "Average the gradients of neuron {wildcards.cls} of {wildcards.network} over portion "
        "{wildcards.portion} of {wildcards.collection}."


rule class_importance:
    """Rank a layer's filters by their importance to a class; compare its images with others.

    What comes out is a table of the filters, one sentence that says whether importance is a
    property of the class, and a picture.
    """
    input:
        sums="results/{network}/classes/{collection}/importance.npz",
        others=collect(
            "results/{{network}}/classes/{other}/importance.npz",
            other=entry("classes", "{network}", "{collection}", "others"),
        ),
        orders=collect(
            "results/{{network}}/orderings/{ordering}/{{layer}}.json",
            ordering=entry("layers", "{network}", "{layer}", "shared"),
        ),
    output:
        table="results/{network}/classes/{collection}/importance/{layer}.csv",
        summary="results/{network}/classes/{collection}/importance/{layer}.json",
        picture=reported("results/{network}/classes/{collection}/importance/{layer}.png", "Classes"),
    log:
        "logs/{network}/classes/{collection}/importance/{layer}.log",
    group:
        "filters"
    conda:
        "../envs/workflow.yaml"
    params:
        layer=entry("layers", "{network}", "{layer}", "name"),
        image_set=entry("collections", "{collection}", "image_set"),
        others=entry("classes", "{network}", "{collection}", "others"),
        shared=entry("layers", "{network}", "{layer}", "shared"),
        code=code("make_class_importance.py"),
    message:
        "Compute the importance of {wildcards.layer}'s filters to {wildcards.collection}."
    script:
        "../scripts/make_class_importance.py"


rule neuron_importance:
    """Rank a layer's filters by their importance to a neuron over images of another class.

    What comes out are a table of the filters, one sentence, and a picture that shows beside it how
    important they are to the same neuron over images of its own class.
    """
    input:
        sums="results/{network}/classes/{collection}/neurons/{cls}.npz",
        own=collect(
            "results/{{network}}/classes/{own}/importance.npz",
            own=entry("classes", "{network}", "{collection}", "neurons", "{cls}"),
        ),
    output:
        table="results/{network}/classes/{collection}/neurons/{cls}/{layer}.csv",
        summary="results/{network}/classes/{collection}/neurons/{cls}/{layer}.json",
        picture="results/{network}/classes/{collection}/neurons/{cls}/{layer}.png",
    log:
        "logs/{network}/classes/{collection}/neurons/{cls}/{layer}.log",
    group:
        "filters"
    conda:
        "../envs/workflow.yaml"
    params:
        layer=entry("layers", "{network}", "{layer}", "name"),
        own=entry("classes", "{network}", "{collection}", "neurons", "{cls}"),
        code=code("make_neuron_importance.py"),
    message:
        "Compute the importance of {wildcards.layer}'s filters to neuron {wildcards.cls} over "
        "{wildcards.collection}."
    script:
        "../scripts/make_neuron_importance.py"


rule filter_effects:
    """Remove each filter of a layer alone: what does that do to the images of a class?

    Sums over the images for replicates of a bootstrap: the truth that criteria of importance
    predict.
    """
    input:
        folders=entry("collections", "{collection}", "folders"),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        mean=entry("networks", "{network}", "mean_file"),
        parts=parts_of(
            "results/{network}/classes/{collection}/effects/.{layer}.{portion}",
            "collections",
            "{collection}",
        ),
    output:
        "results/{network}/classes/{collection}/effects/{layer}.npz",
    log:
        "logs/{network}/classes/{collection}/effects/{layer}.log",
    benchmark:
        "logs/{network}/classes/{collection}/effects/{layer}.tsv"
    priority: 1  # The longest chain of jobs of a run begins first.
    conda:
        environment
    threads: entry("networks", "{network}", "threads")
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
        runtime=720,
    params:
        model=entry("networks", "{network}", "model"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        image_set=entry("collections", "{collection}", "image_set"),
        images=entry("collections", "{collection}", "images"),
        layer=entry("layers", "{network}", "{layer}", "name"),
        zero=tables["pruning"]["zero"],
        code=code("make_filter_effects.py"),
    message:
        "Remove each filter of {wildcards.layer} of {wildcards.network} for {wildcards.collection}."
    script:
        "../scripts/make_filter_effects.py"


use rule filter_effects as filter_effects_part with:
    output:
        temp(directory("results/{network}/classes/{collection}/effects/.{layer}.{portion}")),
    log:
        "logs/{network}/classes/{collection}/parts/effects/{layer}.{portion}.log",
    benchmark:
        "logs/{network}/classes/{collection}/parts/effects/{layer}.{portion}.tsv"
    params:
        portion=entry("collections", "{collection}", "portions", "{portion}"),
    message:
        "Remove each filter of {wildcards.layer} of {wildcards.network} for portion "
        "{wildcards.portion} of {wildcards.collection}."


rule pruning:
    """Prune a layer in the order of its filters' importance to a class, and count the errors.

    What comes out are the error rates of the class and of the others without the least, the most
    and random filters, as a table, as the study's three cases, and as pictures; and whether the
    criteria of importance agree with the true effect of each removal.
    """
    input:
        importance="results/{network}/classes/{collection}/importance.npz",
        effects="results/{network}/classes/{collection}/effects/{layer}.npz",
        responses=responses_of,
        folders=entry("classes", "{network}", "{collection}", "folders"),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        mean=entry("networks", "{network}", "mean_file"),
        parts=parts_of(
            "results/{network}/classes/{collection}/pruning/.{layer}.{portion}",
            "classes",
            "{network}",
            "{collection}",
        ),
    output:
        table="results/{network}/classes/{collection}/pruning/{layer}.csv",
        summary="results/{network}/classes/{collection}/pruning/{layer}.json",
        picture=reported("results/{network}/classes/{collection}/pruning/{layer}.png", "Classes"),
        vector_picture="results/{network}/classes/{collection}/pruning/{layer}.svg",
        criteria="results/{network}/classes/{collection}/criteria/{layer}.csv",
        trial="results/{network}/classes/{collection}/criteria/{layer}.json",
        trial_picture=reported(
            "results/{network}/classes/{collection}/criteria/{layer}.png", "Classes"
        ),
    log:
        "logs/{network}/classes/{collection}/pruning/{layer}.log",
    benchmark:
        "logs/{network}/classes/{collection}/pruning/{layer}.tsv"
    priority: 1  # The longest chain of jobs of a run begins first.
    conda:
        environment
    threads: entry("networks", "{network}", "threads")
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
        runtime=720,
    params:
        model=entry("networks", "{network}", "model"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        image_sets=entry("classes", "{network}", "{collection}", "image_sets"),
        images=entry("classes", "{network}", "{collection}", "images"),
        layer=entry("layers", "{network}", "{layer}", "name"),
        pruning=tables["pruning"],
        code=code("make_pruning.py"),
    message:
        "Prune {wildcards.layer} of {wildcards.network} by importance to {wildcards.collection}."
    script:
        "../scripts/make_pruning.py"


use rule pruning as pruning_part with:
    output:
        temp(directory("results/{network}/classes/{collection}/pruning/.{layer}.{portion}")),
    log:
        "logs/{network}/classes/{collection}/parts/pruning/{layer}.{portion}.log",
    benchmark:
        "logs/{network}/classes/{collection}/parts/pruning/{layer}.{portion}.tsv"
    params:
        portion=entry("classes", "{network}", "{collection}", "portions", "{portion}"),
    message:
        "Prune {wildcards.layer} of {wildcards.network} by importance to {wildcards.collection}, "
        "for portion {wildcards.portion} of the images."


if tables["pruned"]:

    rule pruned_networks:
        """Write the networks without a layer's least important filters, for all shares.

        What comes out are networks that everything here can run, and a report on each: how much
        smaller and faster it is, which filters had to stay and why, and what it gets wrong.
        """
        input:
            importance="results/{network}/classes/{collection}/importance.npz",
            responses=responses_of,
            folders=entry("classes", "{network}", "{collection}", "folders"),
            prototxt=entry("networks", "{network}", "prototxt"),
            weights=entry("networks", "{network}", "weights"),
            mean=entry("networks", "{network}", "mean_file"),
            parts=parts_of(
                "results/{network}/classes/{collection}/pruned/.{layer}.{portion}",
                "classes",
                "{network}",
                "{collection}",
            ),
        output:
            networks=collect(
                "results/{{network}}/classes/{{collection}}/pruned/{{layer}}-{share}.prototxt",
                share=tables["pruned"],
            ),
            weights=collect(
                "results/{{network}}/classes/{{collection}}/pruned/{{layer}}-{share}.caffemodel",
                share=tables["pruned"],
            ),
            reports=collect(
                "results/{{network}}/classes/{{collection}}/pruned/{{layer}}-{share}.json",
                share=tables["pruned"],
            ),
        log:
            "logs/{network}/classes/{collection}/pruned/{layer}.log",
        benchmark:
            "logs/{network}/classes/{collection}/pruned/{layer}.tsv"
        conda:
            environment
        threads: entry("networks", "{network}", "threads")
        resources:
            mem_mb=entry("networks", "{network}", "memory"),
            runtime=720,
        params:
            model=entry("networks", "{network}", "model"),
            preprocessing=entry("networks", "{network}", "preprocessing"),
            image_sets=entry("classes", "{network}", "{collection}", "image_sets"),
            images=entry("classes", "{network}", "{collection}", "images"),
            layer=entry("layers", "{network}", "{layer}", "name"),
            settings={
                "shares": list(tables["pruned"].values()),
                "zero": tables["pruning"]["zero"],
                "criterion": tables["pruning"]["criterion"],
            },
            code=code("make_pruned_networks.py"),
        message:
            "Write {wildcards.network} without the filters of {wildcards.layer} least important to "
            "{wildcards.collection}."
        script:
            "../scripts/make_pruned_networks.py"

    use rule pruned_networks as pruned_networks_part with:
        output:
            temp(directory("results/{network}/classes/{collection}/pruned/.{layer}.{portion}")),
        log:
            "logs/{network}/classes/{collection}/parts/pruned/{layer}.{portion}.log",
        benchmark:
            "logs/{network}/classes/{collection}/parts/pruned/{layer}.{portion}.tsv"
        params:
            portion=entry("classes", "{network}", "{collection}", "portions", "{portion}"),
        message:
            "Count the errors of {wildcards.network} without the filters of {wildcards.layer} least "
            "important to {wildcards.collection}, for portion {wildcards.portion} of the images."

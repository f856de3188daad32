"""Feature maps: one forward pass for each network and image, then one job for each layer.

Input: the image; the network's prototxt, weights, labels and mean.
Output: results/{network}/{image}/input.npy and input.png, blobs.npz, prediction.json;
orderings/{ordering}/{layer}.json, grids/{ordering}/{layer}.png, volumes/{ordering}/{layer}.vox and
{layer}.binary.vox with headers, slices/{layer}/row-{row}/, viewer/{layer}.html;
results/{network}/filters/{layer}.png.
"""


# One thread by default: loading a small network takes longer than one image does, so jobs side by
# side are faster than threads within (--set-threads activations=4 where a network is deep).
rule activations:
    """Preprocess an image as Caffe did in 2016 and run the network on it.

    What goes in is the image file; what comes out is the network's input (as an array and as a
    picture), the feature maps of every convolution with the score, and the five highest classes.
    """
    input:
        image=entry("images", "{image}", "file"),
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        labels=entry("networks", "{network}", "labels"),
        mean=entry("networks", "{network}", "mean_file"),
    output:
        array="results/{network}/{image}/input.npy",
        picture="results/{network}/{image}/input.png",
        blobs="results/{network}/{image}/blobs.npz",
        prediction="results/{network}/{image}/prediction.json",
    log:
        "logs/{network}/{image}/activations.log",
    benchmark:
        "logs/{network}/{image}/activations.tsv"
    conda:
        environment
    params:
        source=entry("images", "{image}", "path"),
        crop=entry("images", "{image}", "crop"),
        model=entry("networks", "{network}", "model"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        code=code("make_activations.py"),
    message:
        "Run {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/make_activations.py"


# Which volumes and slices a layer has is up to the configuration, so every layer has its own rule.
for network, layers in tables["layers"].items():
    for layer, facts in layers.items():
        if facts["blob"] is None:
            continue

        rule:
            """Order a layer's feature maps; draw them, cut slices, write volumes and a 3D page."""
            name:
                f"layer_{layer}@{network}"
            input:
                f"results/{network}/{{image}}/blobs.npz",
            output:
                collect(
                    "results/{network}/{{image}}/orderings/{ordering}/{layer}.json",
                    network=network,
                    layer=layer,
                    ordering=tables["orderings"],
                ),
                collect(
                    "results/{network}/{{image}}/grids/{ordering}/{layer}.png",
                    network=network,
                    layer=layer,
                    ordering=tables["orderings"],
                ),
                collect(
                    "results/{network}/{{image}}/volumes/{ordering}/{layer}.{suffix}",
                    network=network,
                    layer=layer,
                    ordering=tables["orderings"] if facts["volumes"] else [],
                    suffix=[
                        *("vox", "hd", "nhdr", "mhd"),
                        *("binary.vox", "binary.hd", "binary.nhdr", "binary.mhd"),
                    ],
                ),
                collect(
                    "results/{network}/{{image}}/viewer/{layer}.html",
                    network=network,
                    layer=layer if facts["volumes"] else [],
                ),
                collect(
                    "results/{network}/{{image}}/slices/{layer}/row-{row}/{name}",
                    network=network,
                    layer=layer,
                    row=facts["slices"]["rows"],
                    name=[
                        *collect("kmeans-{k}.png", k=facts["slices"]["k"]),
                        "pca.png",
                        "slice.json",
                    ],
                ),
            log:
                f"logs/{network}/{{image}}/layers/{layer}.log",
            benchmark:
                f"logs/{network}/{{image}}/layers/{layer}.tsv"
            conda:
                "../envs/workflow.yaml"
            params:
                network=network,
                layer=facts["name"],
                blob=facts["blob"],
                orderings=tables["orderings"],
                volumes=facts["volumes"],
                slices=facts["slices"],
                code=code("make_layer.py"),
            message:
                f"Order, draw and write the feature maps of {layer} of {network} on {{wildcards.image}}."
            script:
                "../scripts/make_layer.py"


for network, layers in tables["layers"].items():
    convolutions = {layer: facts["name"] for layer, facts in layers.items() if facts["blob"]}

    rule:
        """Draw the weights of every convolution's filters; they are the same for every image."""
        name:
            f"filters@{network}"
        input:
            prototxt=tables["networks"][network]["prototxt"],
            weights=tables["networks"][network]["weights"],
        output:
            collect("results/{network}/filters/{layer}.png", network=network, layer=convolutions),
        log:
            f"logs/{network}/filters.log",
        conda:
            "../envs/workflow.yaml"
        params:
            model=tables["networks"][network]["model"],
            titles={layer: f"Filters of {layer} in {network}" for layer in convolutions.values()},
            channel_order=tables["networks"][network]["preprocessing"]["channel_order"],
            code=code("make_filters.py"),
        message:
            f"Draw the filters of {network}."
        script:
            "../scripts/make_filters.py"

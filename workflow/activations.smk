"""Feature maps: one forward pass for each network and image, then one job for its layers.

Input: the image; the network's prototxt, weights and mean, and its labels for pages.
Output: results/{network}/{image}/input.npy and input.png, blobs.npz, prediction.json;
orderings/{ordering}/{layer}.json, but for shared orderings; grids/{ordering}/{layer}.png and grids/{layer}.js, volumes/{ordering}/{layer}.vox and
{layer}.binary.vox with headers, slices/{layer}/row-{row}/ and stability.{json,png},
viewer/{layer}.html;
results/{network}/what-if.js and {image}/what-if.html of small networks;
results/{network}/filters/{layer}.png, and {ordering}/{layer}.png in shared orderings;
results/{network}/tuning/{layer}.{html,png,csv,json} of the first convolution.
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
        mean=entry("networks", "{network}", "mean_file"),
    output:
        array="results/{network}/{image}/input.npy",
        picture="results/{network}/{image}/input.png",
        blobs="results/{network}/{image}/blobs.npz",
        prediction="results/{network}/{image}/prediction.json",
    log:
        "logs/{network}/{image}/activations.log",
    # Other working folders can take it from a cache, so that Snakemake allows no benchmark.
    cache: caching
    group:
        passes
    conda:
        environment
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
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


# Which layers a network has, and which of them have volumes and slices, is up to the network and
# the configuration, so every network has its own rules.
for network in running:
    convolutions = {
        layer: facts for layer, facts in tables["layers"][network].items() if facts["blob"]
    }
    with_volumes = [layer for layer, facts in convolutions.items() if facts["volumes"]]
    cuts = [
        (layer, row) for layer, facts in convolutions.items() for row in facts["slices"]["rows"]
    ]
    compared = [layer for layer, facts in convolutions.items() if facts["slices"]["stability"]]
    orders = [(name, layer) for layer, facts in convolutions.items() for name in facts["orderings"]]
    shared = [(name, layer) for layer, facts in convolutions.items() for name in facts["shared"]]
    own = [order for order in orders if order not in shared]

    # One job for all layers of an image: importing SciPy's solver takes longer than a layer.
    rule:
        """Order each layer's feature maps; draw them, cut slices, write volumes and 3D pages."""
        name:
            f"layers@{network}"
        input:
            f"results/{network}/{{image}}/blobs.npz",
            shared_orders(network, shared),
            collect(
                "results/{network}/{{image}}/gradients/{neuron}.npz",
                network=network,
                neuron={tables["orderings"][name]["neuron"] for name, _ in own} - {None},
            ),
        output:
            collect(
                "results/{network}/{{image}}/orderings/{order[0]}/{order[1]}.json",
                network=network,
                order=own,
            ),
            reported(
                collect(
                    "results/{network}/{{image}}/grids/{order[0]}/{order[1]}.png",
                    network=network,
                    order=orders,
                ),
                "Feature maps",
            ),
            collect(
                "results/{network}/{{image}}/grids/{layer}.js",
                network=network,
                layer=convolutions,
            ),
            collect(
                "results/{network}/{{image}}/volumes/{order[0]}/{order[1]}.{suffix}",
                network=network,
                order=[order for order in orders if order[1] in with_volumes],
                suffix=[
                    *("vox", "hd", "nhdr", "mhd"),
                    *("binary.vox", "binary.hd", "binary.nhdr", "binary.mhd"),
                ],
            ),
            reported(
                collect(
                    "results/{network}/{{image}}/viewer/{layer}.html",
                    network=network,
                    layer=with_volumes,
                ),
                "Feature maps",
            ),
            collect(
                "results/{network}/{{image}}/slices/{cut[0]}/row-{cut[1]}/{name}",
                network=network,
                cut=cuts,
                name=[
                    *collect("kmeans-{k}.png", k=tables["clusters"]),
                    *("pca.png", "slice.json"),
                ],
            ),
            collect(
                "results/{network}/{{image}}/slices/{layer}/stability.{suffix}",
                network=network,
                layer=compared,
                suffix=["json", "png"],
            ),
        log:
            f"logs/{network}/{{image}}/layers.log",
        benchmark:
            f"logs/{network}/{{image}}/layers.tsv"
        group:
            pictures
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=facts_of(network, convolutions, "name", "blob", "volumes", "slices", "orderings"),
            orderings={name: tables["orderings"][name] for name, _ in orders},
            responses=with_responses(network),
            code=code("make_layers.py"),
        message:
            f"Order, draw and write the feature maps of {network} on {{wildcards.image}}."
        script:
            "../scripts/make_layers.py"

    rule:
        """Draw the weights of every convolution's filters; they are the same for every image."""
        name:
            f"filters@{network}"
        input:
            prototxt=tables["networks"][network]["prototxt"],
            weights=tables["networks"][network]["weights"],
            orders=shared_orders(network, shared),
        output:
            reported(
                collect(
                    "results/{network}/filters/{layer}.png", network=network, layer=convolutions
                ),
                "Filters",
            ),
            collect(
                "results/{network}/filters/{order[0]}/{order[1]}.png",
                network=network,
                order=shared,
            ),
            [] if tables["what_if"][network] else f"results/{network}/what-if.js",
        log:
            f"logs/{network}/filters.log",
        group:
            "filters"
        conda:
            "../envs/workflow.yaml"
        resources:
            mem_mb=tables["networks"][network]["memory"],
        params:
            model=tables["networks"][network]["model"],
            # As a mapping: of a text, Snakemake's linter would think that it begins a path.
            place={"network": network},
            layers={facts["name"]: facts["shared"] for facts in convolutions.values()},
            channel_order=tables["networks"][network]["preprocessing"]["channel_order"],
            what_if=not tables["what_if"][network],
            code=code("make_filters.py"),
        message:
            f"Draw the filters of {network}."
        script:
            "../scripts/make_filters.py"

    if tables["what_if"][network]:
        continue

    rule:
        """Make the page on which filters of a small network are switched off for an image."""
        name:
            f"what_if@{network}"
        input:
            f"results/{network}/{{image}}/input.npy",
            f"results/{network}/{{image}}/input.png",
            f"results/{network}/{{image}}/blobs.npz",
            prototxt=tables["networks"][network]["prototxt"],
            weights=tables["networks"][network]["weights"],
            labels=tables["networks"][network]["labels"],
        output:
            f"results/{network}/{{image}}/what-if.html",
        log:
            f"logs/{network}/{{image}}/what_if.log",
        benchmark:
            f"logs/{network}/{{image}}/what_if.tsv"
        group:
            pictures
        conda:
            "../envs/workflow.yaml"
        resources:
            mem_mb=tables["networks"][network]["memory"],
        params:
            place={"network": network},
            model=tables["networks"][network]["model"],
            code=code("make_what_if.py"),
        message:
            f"Remove filters of {network} for {{wildcards.image}}."
        script:
            "../scripts/make_what_if.py"


# Of first convolutions over three colours: what they are tuned to shows in the weights alone.
for network, tuned in tables["tuned"].items():

    rule:
        """Measure the orientation, frequency and colour of each filter of the first convolution."""
        name:
            f"tuning@{network}"
        input:
            prototxt=tables["networks"][network]["prototxt"],
            weights=tables["networks"][network]["weights"],
        output:
            collect(
                "results/{network}/tuning/{layer}.{suffix}",
                network=network,
                layer=tuned["layer"],
                suffix=["html", "csv", "json"],
            ),
            reported(f"results/{network}/tuning/{tuned['layer']}.png", "Filters"),
        log:
            f"logs/{network}/tuning.log",
        group:
            "filters"
        conda:
            "../envs/workflow.yaml"
        resources:
            mem_mb=tables["networks"][network]["memory"],
        params:
            model=tables["networks"][network]["model"],
            place={"network": network},
            layer=tuned["name"],
            channel_order=tables["networks"][network]["preprocessing"]["channel_order"],
            code=code("make_tuning.py"),
        message:
            f"Measure what the first filters of {network} are tuned to."
        script:
            "../scripts/make_tuning.py"

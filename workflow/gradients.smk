"""Gradients of one neuron of the last layer: by weights and by pixels, checked, drawn and ranked.

Input: results/{network}/{image}/input.npy; the network's prototxt and weights. Of a network without
weights: published gradients, and the image.
Output: results/{network}/{image}/gradients/{cls}.npz, attributions/{cls}.npz and
attributions/{cls}/; gradients/{cls}.check.json and .png; for each layer gradients/{cls}/{layer}.vox
and {layer}.channels.vox with headers, {layer}.png, orderings/{ordering}/{layer}.json and .vox with
headers, attributions/{cls}/{kind}/{layer}.*, importance/{cls}/{layer}.csv and .png,
viewer/gradient-{cls}-{layer}.html and .channels.html.
"""


rule gradients:
    """Differentiate a neuron by the weights of layers and by the input, in one backward pass.

    What comes out is the gradient by layer, as Caffe shapes its weights; the attributions that
    the configuration asks for; and the saliency map over the image.
    """
    input:
        array="results/{network}/{image}/input.npy",
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
        mean=entry("networks", "{network}", "mean_file"),
    output:
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        attributions="results/{network}/{image}/attributions/{cls}.npz",
        data_gradient="results/{network}/{image}/attributions/{cls}/data_gradient.npy",
        saliency="results/{network}/{image}/attributions/{cls}/saliency.npy",
        picture="results/{network}/{image}/attributions/{cls}/saliency.png",
    log:
        "logs/{network}/{image}/gradients/{cls}.log",
    # Other working folders can take it from a cache, so that Snakemake allows no benchmark.
    cache: caching
    group:
        passes
    conda:
        environment
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
    params:
        model=entry("networks", "{network}", "model"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        layers=entry("differentiated", "{network}"),
        kinds=entry("attributions", "{network}"),
        # A result is looked up in a cache (--cache) by its params, which say which neuron it is of.
        cls="{cls}",
        title="Saliency of neuron {cls} of {network} on {image}",
        code=code("make_gradients.py"),
    message:
        "Differentiate neuron {wildcards.cls} of {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/make_gradients.py"


rule published_gradients:
    """Take a neuron's gradients from published arrays, where there are no weights.

    What comes out is the same as of a backward pass, without what needs the network itself.
    """
    input:
        arrays=entry("published", "{network}", "{image}", "{cls}"),
        prototxt=entry("networks", "{network}", "prototxt"),
    output:
        "results/{network}/{image}/gradients/{cls}.npz",
    log:
        "logs/{network}/{image}/gradients/{cls}.log",
    wildcard_constraints:
        network=any_of(tables["published"]),
        cls=any_of(
            cls
            for images in tables["published"].values()
            for neurons in images.values()
            for cls in neurons
        ),
    group:
        passes
    conda:
        "../envs/workflow.yaml"
    params:
        model=entry("networks", "{network}", "model"),
        layers=entry("differentiated", "{network}"),
        code=code("import_gradients.py"),
    message:
        "Take the gradients of neuron {wildcards.cls} on {wildcards.image} from published arrays."
    script:
        "../scripts/import_gradients.py"


rule photograph:
    """Draw an image as a network without weights would see it."""
    input:
        image=entry("images", "{image}", "file"),
        mean=entry("networks", "{network}", "mean_file"),
    output:
        "results/{network}/{image}/input.png",
    log:
        "logs/{network}/{image}/input.log",
    wildcard_constraints:
        network=any_of(tables["published"]),
    group:
        passes
    conda:
        "../envs/workflow.yaml"
    params:
        source=entry("images", "{image}", "path"),
        crop=entry("images", "{image}", "crop"),
        preprocessing=entry("networks", "{network}", "preprocessing"),
        code=code("draw_photograph.py"),
    message:
        "Draw {wildcards.image} as {wildcards.network} would see it."
    script:
        "../scripts/draw_photograph.py"


rule gradient_check:
    """Compare a neuron's gradients with central differences, and the file with float64.

    The report says whether backpropagation is right, and, apart from that, how far rounding in
    float32 takes the gradients in the file.
    """
    input:
        array="results/{network}/{image}/input.npy",
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        prototxt=entry("networks", "{network}", "prototxt"),
        weights=entry("networks", "{network}", "weights"),
    output:
        report="results/{network}/{image}/gradients/{cls}.check.json",
        picture="results/{network}/{image}/gradients/{cls}.check.png",
    log:
        "logs/{network}/{image}/gradients/{cls}.check.log",
    benchmark:
        "logs/{network}/{image}/gradients/{cls}.check.tsv"
    group:
        pictures
    conda:
        "../envs/workflow.yaml"
    resources:
        mem_mb=entry("networks", "{network}", "memory"),
    params:
        model=entry("networks", "{network}", "model"),
        layers=entry("differentiated", "{network}"),
        check=tables["check"],
        code=code("check_gradients.py"),
    message:
        "Check the gradients of neuron {wildcards.cls} of {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/check_gradients.py"


# Which layers gradients are taken at is up to the configuration, so every network has its own rule.
for network, names in tables["differentiated"].items():
    layers = [layer for layer, facts in tables["layers"][network].items() if facts["name"] in names]
    kinds = tables["attributions"][network]
    facts = tables["layers"][network]
    orders = [(name, layer) for layer in layers for name in facts[layer]["gradient_orderings"]]
    shared = [(name, layer) for layer in layers for name in facts[layer]["shared"]]
    # Those by the gradients themselves are made here, the others read.
    own = [order for order in orders if tables["orderings"][order[0]]["by"] == "shown"]

    rule:
        """Write a neuron's gradient at each layer as volume, picture and 3D page; rank filters."""
        name:
            f"gradient_layers@{network}"
        input:
            f"results/{network}/{{image}}/gradients/{{cls}}.npz",
            # Only with attributions to draw: gradients alone may come from elsewhere.
            [f"results/{network}/{{image}}/attributions/{{cls}}.npz"] * bool(kinds),
            shared_orders(network, shared),
            collect(
                "results/{network}/{{image}}/orderings/{order[0]}/{order[1]}.json",
                network=network,
                order=[order for order in orders if order not in own + shared],
            ),
        output:
            collect(
                "results/{network}/{{image}}/gradients/{{cls}}/{layer}.{suffix}",
                network=network,
                layer=layers,
                suffix=[
                    *("vox", "hd", "nhdr", "mhd"),
                    *("channels.vox", "channels.hd", "channels.nhdr", "channels.mhd"),
                ],
            ),
            collect(
                "results/{network}/{{image}}/gradients/{{cls}}/orderings/{order[0]}/{order[1]}.json",
                network=network,
                order=own,
            ),
            collect(
                "results/{network}/{{image}}/gradients/{{cls}}/orderings/{order[0]}/{order[1]}.{suffix}",
                network=network,
                order=orders,
                suffix=["vox", "hd", "nhdr", "mhd"],
            ),
            collect(
                "results/{network}/{{image}}/attributions/{{cls}}/{kind}/{layer}.{suffix}",
                network=network,
                kind=kinds,
                layer=layers,
                suffix=["vox", "hd", "nhdr", "mhd", "png"],
            ),
            collect(
                "results/{network}/{{image}}/importance/{{cls}}/{layer}.csv",
                network=network,
                layer=layers,
            ),
            collect(
                "results/{network}/{{image}}/viewer/gradient-{{cls}}-{layer}.channels.html",
                network=network,
                layer=layers,
            ),
            reported(
                collect(
                    "results/{network}/{{image}}/{file}",
                    network=network,
                    file=[
                        file
                        for layer in layers
                        for file in (
                            f"gradients/{{cls}}/{layer}.png",
                            f"importance/{{cls}}/{layer}.png",
                            f"viewer/gradient-{{cls}}-{layer}.html",
                        )
                    ],
                ),
                "Gradients",
            ),
        log:
            f"logs/{network}/{{image}}/gradients/{{cls}}.layers.log",
        group:
            pictures
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=facts_of(network, layers, "name", "gradient_orderings", "shared"),
            orderings={name: tables["orderings"][name] for name, _ in orders},
            kinds=kinds,
            responses=with_responses(network),
            code=code("make_gradient_layers.py"),
        message:
            f"Draw the gradients of neuron {{wildcards.cls}} of {network} on {{wildcards.image}}."
        script:
            "../scripts/make_gradient_layers.py"

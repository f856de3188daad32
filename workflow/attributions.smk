"""What else says on what a neuron depends: pixels, and weights in other ways than the gradient.

Input: results/{network}/{image}/input.npy and gradients/{cls}.npz; the network's files.
Output: results/{network}/{image}/attributions/{cls}/saliency.png, saliency.npy and
data_gradient.npy, over the image; attributions/{cls}.npz, the kinds that the configuration asks
for, by layer; attributions/{cls}/{kind}/{layer}.vox with headers, and .png.
"""


# Everything that needs the network is one job: loading it takes longer than its passes.
rule attributions:
    input:
        array="results/{network}/{image}/input.npy",
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
    output:
        attributions="results/{network}/{image}/attributions/{cls}.npz",
        data_gradient="results/{network}/{image}/attributions/{cls}/data_gradient.npy",
        saliency="results/{network}/{image}/attributions/{cls}/saliency.npy",
        picture="results/{network}/{image}/attributions/{cls}/saliency.png",
    log:
        "logs/{network}/{image}/attributions/{cls}.log",
    benchmark:
        "logs/{network}/{image}/attributions/{cls}.tsv"
    conda:
        "../envs/workflow.yaml"
    params:
        engine=tables["engine"],
        engine_options=lookup(dpath="{network}/engine_options", within=tables["networks"]),
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean", within=tables["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=tables["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        kinds=tables["attributions"],
        code=code("make_attributions.py"),
    message:
        "Attribute neuron {wildcards.cls} of {wildcards.network} to the pixels of {wildcards.image}."
    script:
        "../scripts/make_attributions.py"


# A rule without outputs would be none.
if tables["attributions"]:

    rule attribution_volumes:
        input:
            "results/{network}/{image}/attributions/{cls}.npz",
        output:
            volumes=collect(
                "results/{{network}}/{{image}}/attributions/{{cls}}/{kind}/{{layer}}.vox",
                kind=tables["attributions"],
            ),
            headers=collect(
                "results/{{network}}/{{image}}/attributions/{{cls}}/{kind}/{{layer}}.{suffix}",
                kind=tables["attributions"],
                suffix=["hd", "nhdr", "mhd"],
            ),
            pictures=collect(
                "results/{{network}}/{{image}}/attributions/{{cls}}/{kind}/{{layer}}.png",
                kind=tables["attributions"],
            ),
        log:
            "logs/{network}/{image}/attributions/{cls}/{layer}.log",
        conda:
            "../envs/workflow.yaml"
        params:
            kinds=tables["attributions"],
            layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
            code=code("make_attribution_volumes.py"),
        message:
            "Write attributions of neuron {wildcards.cls} by {wildcards.layer} on {wildcards.image}."
        script:
            "../scripts/make_attribution_volumes.py"

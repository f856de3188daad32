"""Gradients of one neuron with respect to the weights of layers.

Input: results/{network}/{image}/input.npy; the network's prototxt and weights.
Output: results/{network}/{image}/gradients/{cls}.npz, by layer, as Caffe shapes its weights;
results/{network}/{image}/gradients/{cls}/{layer}.vox with headers, and {layer}.png.
"""


rule gradients:
    input:
        array="results/{network}/{image}/input.npy",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
    output:
        "results/{network}/{image}/gradients/{cls}.npz",
    log:
        "logs/{network}/{image}/gradients/{cls}.log",
    benchmark:
        "logs/{network}/{image}/gradients/{cls}.tsv"
    conda:
        environment
    params:
        engine=tables["engine"],
        engine_options=lookup(dpath="{network}/engine_options", within=tables["networks"]),
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        code=code("make_gradients.py"),
    message:
        "Differentiate neuron {wildcards.cls} of {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/make_gradients.py"


rule gradient_volume:
    input:
        "results/{network}/{image}/gradients/{cls}.npz",
    output:
        multiext(
            "results/{network}/{image}/gradients/{cls}/{layer}",
            vox=".vox",
            hd=".hd",
            nhdr=".nhdr",
            mhd=".mhd",
            picture=".png",
        ),
    log:
        "logs/{network}/{image}/gradients/{cls}/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_gradient_volume.py"),
    message:
        "Write the gradient of neuron {wildcards.cls} by {wildcards.layer} on {wildcards.image}."
    script:
        "../scripts/make_gradient_volume.py"

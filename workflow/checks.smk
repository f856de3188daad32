"""Are the gradients right? Numerical derivatives against analytic ones.

Input: results/{network}/{image}/input.npy and gradients/{cls}.npz; the network's files.
Output: results/{network}/{image}/gradients/{cls}.check.json, the report, and {cls}.check.png, the
scatter plot of analytic against numerical derivatives.
"""


rule gradient_check:
    input:
        array="results/{network}/{image}/input.npy",
        gradients="results/{network}/{image}/gradients/{cls}.npz",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
    output:
        report="results/{network}/{image}/gradients/{cls}.check.json",
        picture="results/{network}/{image}/gradients/{cls}.check.png",
    log:
        "logs/{network}/{image}/gradients/{cls}.check.log",
    benchmark:
        "logs/{network}/{image}/gradients/{cls}.check.tsv"
    conda:
        "../envs/workflow.yaml"
    params:
        check=tables["check"],
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        input_shape=lookup(dpath="{network}/input_shape", within=tables["networks"]),
        code=code("check_gradients.py"),
    message:
        "Check the gradients of neuron {wildcards.cls} of {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/check_gradients.py"

"""Are the gradients right? Numerical derivatives against analytic ones.

Input: results/{network}/{image}/input.npy and gradients/{cls}.npz; the network's files.
Output: results/{network}/{image}/gradients/{cls}.check.json, the report, and {cls}.check.png, the
scatter plot of analytic against numerical derivatives.
"""


rule gradient_check:
    """Compare a neuron's gradients with central differences, and the file with float64.

    The report says whether backpropagation is right, and, apart from that, how far rounding in
    float32 takes the gradients in the file.
    """
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
        model=lookup(dpath="{network}/model", within=tables["networks"]),
        layers=lookup(dpath="{network}", within=tables["differentiated"]),
        check=tables["check"],
        code=code("check_gradients.py"),
    message:
        "Check the gradients of neuron {wildcards.cls} of {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/check_gradients.py"

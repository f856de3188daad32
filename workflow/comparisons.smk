"""One neuron's gradients over a reference class, a similar one and a dissimilar one.

Input: results/{network}/{image}/gradients/{neuron}.npz and prediction.json of every member.
Output: results/{network}/comparisons/{comparison}/{layer}.png, .csv and .json; {layer}.html, the
time series in 3D.
"""


rule comparison:
    input:
        gradients=collect(
            "results/{{network}}/{member[image]}/gradients/{neuron}.npz",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
            neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        ),
        predictions=collect(
            "results/{{network}}/{member[image]}/prediction.json",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        ),
    output:
        picture="results/{network}/comparisons/{comparison}/{layer}.png",
        table="results/{network}/comparisons/{comparison}/{layer}.csv",
        summary="results/{network}/comparisons/{comparison}/{layer}.json",
    log:
        "logs/{network}/comparisons/{comparison}/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        members=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_comparison.py"),
    message:
        "Compare the gradients by {wildcards.layer} over the images of {wildcards.comparison}."
    script:
        "../scripts/make_comparison.py"


rule comparison_viewer:
    input:
        gradients=collect(
            "results/{{network}}/{member[image]}/gradients/{neuron}.npz",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
            neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        ),
        predictions=collect(
            "results/{{network}}/{member[image]}/prediction.json",
            member=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        ),
    output:
        "results/{network}/comparisons/{comparison}/{layer}.html",
    log:
        "logs/{network}/comparisons/{comparison}/{layer}-viewer.log",
    conda:
        "../envs/workflow.yaml"
    params:
        members=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_comparison_viewer.py"),
    message:
        "Make the 3D series of {wildcards.layer} for {wildcards.comparison}."
    script:
        "../scripts/make_comparison_viewer.py"

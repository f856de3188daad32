"""Comparisons as time series: one neuron's gradients, one frame per image, in one scale.

Input: results/{network}/{image}/gradients/{neuron}.npz and prediction.json of every member.
Output: results/{network}/comparisons/{comparison}/{layer}.nii.gz, for 3D Slicer and ITK-SNAP;
{layer}.pvd and {layer}/frame-*.vti, for ParaView; {layer}.webp and .gif, animations;
{layer}.still.png, their first frame.
"""


rule series:
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
        nii="results/{network}/comparisons/{comparison}/{layer}.nii.gz",
        pvd="results/{network}/comparisons/{comparison}/{layer}.pvd",
        frames=directory("results/{network}/comparisons/{comparison}/{layer}"),
        webp="results/{network}/comparisons/{comparison}/{layer}.webp",
        gif="results/{network}/comparisons/{comparison}/{layer}.gif",
        still="results/{network}/comparisons/{comparison}/{layer}.still.png",
    log:
        "logs/{network}/comparisons/{comparison}/{layer}-series.log",
    conda:
        "../envs/workflow.yaml"
    params:
        members=lookup(dpath="{network}/{comparison}/members", within=tables["comparisons"]),
        neuron=lookup(dpath="{network}/{comparison}/neuron", within=tables["comparisons"]),
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_series.py"),
    message:
        "Write the time series of {wildcards.layer} for {wildcards.comparison}."
    script:
        "../scripts/make_series.py"

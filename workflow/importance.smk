"""How much each filter matters to one neuron: the norm of its gradient.

Input: results/{network}/{image}/gradients/{cls}.npz.
Output: results/{network}/{image}/importance/{cls}/{layer}.csv, and {layer}.png, the study's map.
"""


rule importance:
    input:
        "results/{network}/{image}/gradients/{cls}.npz",
    output:
        table="results/{network}/{image}/importance/{cls}/{layer}.csv",
        picture="results/{network}/{image}/importance/{cls}/{layer}.png",
    log:
        "logs/{network}/{image}/importance/{cls}/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        layer=lookup(dpath="{network}/{layer}/name", within=tables["layers"]),
        code=code("make_importance.py"),
    message:
        "Weigh the filters of {wildcards.layer} on {wildcards.image} for neuron {wildcards.cls}."
    script:
        "../scripts/make_importance.py"

"""One forward pass per network and image; everything else reads its blobs.

Input: results/{network}/{image}/input.npy; the network's prototxt, weights and labels.
Output: results/{network}/{image}/blobs.npz, every convolution's blob and the score;
results/{network}/{image}/prediction.json, the five highest classes.
"""


# One thread: loading the network takes longer than one image does, so jobs side by side win over
# threads within (--set-threads activations=4 where a network is deep).
rule activations:
    input:
        array="results/{network}/{image}/input.npy",
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        weights=lookup(dpath="{network}/weights", within=tables["networks"]),
        labels=lookup(dpath="{network}/labels", within=tables["networks"]),
    output:
        blobs="results/{network}/{image}/blobs.npz",
        prediction="results/{network}/{image}/prediction.json",
    log:
        "logs/{network}/{image}/activations.log",
    benchmark:
        "logs/{network}/{image}/activations.tsv"
    conda:
        environment
    params:
        engine=tables["engine"],
        engine_options=lookup(dpath="{network}/engine_options", within=tables["networks"]),
        score=lookup(dpath="{network}/score", within=tables["networks"]),
        surplus=lookup(dpath="{network}/surplus_weights", within=tables["networks"]),
        code=code("make_activations.py"),
    message:
        "Run {wildcards.network} on {wildcards.image}."
    script:
        "../scripts/make_activations.py"

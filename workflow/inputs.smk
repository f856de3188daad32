"""Images as the networks take them.

Input: image files, or photographs that scikit-image and scikit-learn ship; mean files.
Output: results/{network}/{image}/input.npy, float32 (channels, height, width).
"""


rule input_array:
    input:
        image=lookup(dpath="{image}/file", within=tables["images"]),
        mean=lookup(dpath="{network}/mean_file", within=tables["networks"]),
    output:
        "results/{network}/{image}/input.npy",
    log:
        "logs/{network}/{image}/input.log",
    conda:
        "../envs/workflow.yaml"
    params:
        source=lookup(dpath="{image}/path", within=tables["images"]),
        crop=lookup(dpath="{image}/crop", within=tables["images"]),
        shape=lookup(dpath="{network}/shape", within=tables["networks"]),
        mean=lookup(dpath="{network}/mean", within=tables["networks"]),
        input_scale=lookup(dpath="{network}/input_scale", within=tables["networks"]),
        channel_order=lookup(dpath="{network}/channel_order", within=tables["networks"]),
        code=code("make_input.py"),
    message:
        "Preprocess {wildcards.image} for {wildcards.network} as Caffe did in 2016."
    script:
        "../scripts/make_input.py"

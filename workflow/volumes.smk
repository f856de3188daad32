"""A layer's outputs as 8-bit volumes, with the study's bytes, and binary ones.

Input: results/{network}/{image}/blobs.npz and orderings/{ordering}/{layer}.json.
Output: results/{network}/{image}/volumes/{ordering}/{layer}.vox and {layer}.binary.vox, each with
the study's header (.hd) and those that ParaView, 3D Slicer, ITK and Fiji open (.nhdr, .mhd).
"""


rule volume:
    input:
        blobs="results/{network}/{image}/blobs.npz",
        ordering="results/{network}/{image}/orderings/{ordering}/{layer}.json",
    output:
        multiext(
            "results/{network}/{image}/volumes/{ordering}/{layer}",
            vox=".vox",
            hd=".hd",
            nhdr=".nhdr",
            mhd=".mhd",
            binary_vox=".binary.vox",
            binary_hd=".binary.hd",
            binary_nhdr=".binary.nhdr",
            binary_mhd=".binary.mhd",
        ),
    log:
        "logs/{network}/{image}/volumes/{ordering}/{layer}.log",
    conda:
        "../envs/workflow.yaml"
    params:
        blob=lookup(dpath="{network}/{layer}/blob", within=tables["layers"]),
        binarise=tables["volumes"]["binarise"],
        percentile=tables["volumes"]["percentile"],
        code=code("make_volume.py"),
    message:
        "Write the volumes of {wildcards.layer} on {wildcards.image}, {wildcards.ordering} order."
    script:
        "../scripts/make_volume.py"

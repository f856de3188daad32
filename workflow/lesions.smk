"""Which classes need each filter: what they lose when it alone is removed.

Input: the images of `lesions.images`, or of all collections; the network's prototxt and weights.
Output: for each layer results/{network}/lesions/{layer}.json and .npz; {layer}.html and .png, a map
of filters and classes.
"""

from cnnvis.config.page_files import lesion_links

# Which layers a network has is up to the network, so every network has its own rule.
for network, facts in tables["lesions"].items():
    files = {
        "folders": facts["folders"],
        "prototxt": tables["networks"][network]["prototxt"],
        "weights": tables["networks"][network]["weights"],
        "mean": tables["networks"][network]["mean_file"],
    }
    values = {
        "network": network,
        "layers": list(facts["layers"].values()),
        "zero": facts["zero"],
        "model": tables["networks"][network]["model"],
        "preprocessing": tables["networks"][network]["preprocessing"],
        "image_sets": facts["image_sets"],
        "images": facts["images"],
    }

    rule:
        """Remove every filter alone, and sum over images what that does to each class."""
        name:
            f"lesions@{network}"
        input:
            **files,
            parts=collect(
                "results/{network}/lesions/.parts.{portion}",
                network=network,
                portion=facts["portions"],
            ),
        output:
            collect(
                "results/{network}/lesions/{layer}.{suffix}",
                network=network,
                layer=facts["layers"],
                suffix=["json", "npz"],
            ),
        log:
            f"logs/{network}/lesions.log",
        benchmark:
            f"logs/{network}/lesions.tsv"
        conda:
            environment
        threads: tables["networks"][network]["threads"]
        resources:
            mem_mb=tables["networks"][network]["memory"],
            runtime=720,
        params:
            **values,
            code=code("make_lesions.py"),
        message:
            f"Remove each filter of {network} alone."
        script:
            "../scripts/make_lesions.py"

    rule:
        """Do the same for some of the images, whose sums the job of all puts together."""
        name:
            f"lesions_part@{network}"
        input:
            **files,
        output:
            temp(directory(f"results/{network}/lesions/.parts.{{portion}}")),
        log:
            f"logs/{network}/lesions/{{portion}}.log",
        benchmark:
            f"logs/{network}/lesions/{{portion}}.tsv"
        conda:
            environment
        threads: tables["networks"][network]["threads"]
        resources:
            mem_mb=tables["networks"][network]["memory"],
            runtime=720,
        params:
            **values,
            portion=entry("lesions", network, "portions", "{portion}"),
            code=code("make_lesions.py"),
        message:
            f"Remove each filter of {network} alone, for portion {{wildcards.portion}} of the images."
        script:
            "../scripts/make_lesions.py"

    rule:
        """Make the page of each layer: which classes need which filters."""
        name:
            f"lesion_pages@{network}"
        input:
            collect(
                "results/{network}/lesions/{layer}.{suffix}",
                network=network,
                layer=facts["layers"],
                suffix=["json", "npz"],
            ),
            labels=tables["networks"][network]["labels"],
        output:
            collect(
                "results/{network}/lesions/{layer}.{suffix}",
                network=network,
                layer=facts["layers"],
                suffix=["html"],
            ),
            reported(
                collect(
                    "results/{network}/lesions/{layer}.png", network=network, layer=facts["layers"]
                ),
                "Lesions",
            ),
        log:
            f"logs/{network}/lesion_pages.log",
        group:
            "pages"
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=list(facts["layers"]),
            shown=lesion_links(tables, network),
            code=code("make_lesion_pages.py"),
        message:
            f"Make the pages on what classes lose without filters of {network}."
        script:
            "../scripts/make_lesion_pages.py"

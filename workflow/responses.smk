"""What each filter responds to, over many images.

Input: the images of `responses.images`, or of all collections; the network's prototxt and weights.
Output: for each layer results/{network}/responses/{layer}.json and .npz; {layer}/, sheets of patches
and feature maps; images/, what the network saw of the strongest images; {layer}.html, a card for
every filter.
"""

from cnnvis.config.page_files import response_files

# Which layers a network has is up to the network, so every network has its own rule.
for network, facts in tables["responses"].items():
    files = {
        "folders": facts["folders"],
        "prototxt": tables["networks"][network]["prototxt"],
        "weights": tables["networks"][network]["weights"],
        "mean": tables["networks"][network]["mean_file"],
    }
    values = {
        "network": network,
        "layers": list(facts["layers"].values()),
        "k": facts["k"],
        "model": tables["networks"][network]["model"],
        "preprocessing": tables["networks"][network]["preprocessing"],
        "image_sets": facts["image_sets"],
        "images": facts["images"],
    }

    rule:
        """Keep the strongest responses of every filter, and statistics, in one pass."""
        name:
            f"responses@{network}"
        input:
            **files,
            parts=collect(
                "results/{network}/responses/.parts.{portion}",
                network=network,
                portion=facts["portions"],
            ),
        output:
            collect(
                "results/{network}/responses/{layer}.{suffix}",
                network=network,
                layer=facts["layers"],
                suffix=["json", "npz"],
            ),
            directory(
                collect(
                    "results/{network}/responses/{folder}",
                    network=network,
                    folder=["images", *facts["layers"]],
                )
            ),
        log:
            f"logs/{network}/responses.log",
        benchmark:
            f"logs/{network}/responses.tsv"
        conda:
            environment
        threads: tables["networks"][network]["threads"]
        resources:
            mem_mb=tables["networks"][network]["memory"],
            runtime=720,
        params:
            **values,
            code=code("make_responses.py"),
        message:
            f"Look what the filters of {network} respond to."
        script:
            "../scripts/make_responses.py"

    rule:
        """Do the same for some of the images, whose sums the job of all puts together."""
        name:
            f"responses_part@{network}"
        input:
            **files,
        output:
            temp(directory(f"results/{network}/responses/.parts.{{portion}}")),
        log:
            f"logs/{network}/responses/{{portion}}.log",
        benchmark:
            f"logs/{network}/responses/{{portion}}.tsv"
        conda:
            environment
        threads: tables["networks"][network]["threads"]
        resources:
            mem_mb=tables["networks"][network]["memory"],
            runtime=720,
        params:
            **values,
            portion=entry("responses", network, "portions", "{portion}"),
            code=code("make_responses.py"),
        message:
            f"Look what the filters of {network} respond to in portion {{wildcards.portion}}."
        script:
            "../scripts/make_responses.py"

    rule:
        """Make the page of each layer's filters."""
        name:
            f"response_pages@{network}"
        input:
            collect(
                "results/{network}/responses/{layer}.json", network=network, layer=facts["layers"]
            ),
            prototxt=tables["networks"][network]["prototxt"],
            labels=tables["networks"][network]["labels"],
            artefacts=response_files(tables, network),
        output:
            collect(
                "results/{network}/responses/{layer}.html", network=network, layer=facts["layers"]
            ),
        log:
            f"logs/{network}/response_pages.log",
        group:
            "filters"
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            layers=list(facts["layers"].values()),
            model=tables["networks"][network]["model"],
            code=code("make_response_pages.py"),
        message:
            f"Make the pages on the filters of {network}."
        script:
            "../scripts/make_response_pages.py"

"""Orders of the filters over several images, and how good these and all other orders are.

Input: of each image results/{network}/{image}/blobs.npz or gradients/{neuron}.npz, and its orders;
or the images of a collection, and the network's prototxt and weights.
Output: results/{network}/orderings/{ordering}/{layer}.json; results/{network}/orderings/{layer}.csv
and .png, and index.html.
"""

from cnnvis.config.page_files import ordering_files

# Which layers an ordering has is up to the network and the configuration, so each has its own rule.
for network, each in tables["layers"].items():
    for ordering, facts in tables["orderings"].items():
        layers = {layer: names for layer, names in each.items() if ordering in names["shared"]}
        blobs = {names["name"]: names["blob"] for names in layers.values()}
        collection = facts["collection"]
        if layers and not collection:

            rule:
                """Order the filters of each layer over several images."""
                name:
                    f"ordering_{ordering}@{network}"
                input:
                    collect(
                        "results/{network}/{image}/{file}.npz",
                        network=network,
                        image=facts["images"],
                        file=(
                            "blobs" if facts["neuron"] is None else f"gradients/{facts['neuron']}"
                        ),
                    ),
                output:
                    collect(
                        "results/{network}/orderings/{ordering}/{layer}.json",
                        network=network,
                        ordering=ordering,
                        layer=layers,
                    ),
                log:
                    f"logs/{network}/orderings/{ordering}.log",
                conda:
                    "../envs/workflow.yaml"
                params:
                    network=network,
                    name=ordering,
                    ordering=facts,
                    layers=blobs,
                    code=code("make_ordering_over_images.py"),
                message:
                    f"Order the filters of {network} over the images of {ordering}."
                script:
                    "../scripts/make_ordering_over_images.py"

        elif layers:
            files = {
                "folders": tables["collections"][collection]["folders"],
                "prototxt": tables["networks"][network]["prototxt"],
                "weights": tables["networks"][network]["weights"],
                "mean": tables["networks"][network]["mean_file"],
            }
            values = {
                "network": network,
                "name": ordering,
                "ordering": facts,
                "layers": blobs,
                "model": tables["networks"][network]["model"],
                "preprocessing": tables["networks"][network]["preprocessing"],
                "image_set": tables["collections"][collection]["image_set"],
                "images": tables["collections"][collection]["images"],
            }

            rule:
                """Order the filters of each layer over a collection, in one pass."""
                name:
                    f"ordering_{ordering}@{network}"
                input:
                    **files,
                    parts=collect(
                        "results/{network}/orderings/{ordering}/.parts.{portion}",
                        network=network,
                        ordering=ordering,
                        portion=tables["collections"][collection]["portions"],
                    ),
                output:
                    collect(
                        "results/{network}/orderings/{ordering}/{layer}.json",
                        network=network,
                        ordering=ordering,
                        layer=layers,
                    ),
                log:
                    f"logs/{network}/orderings/{ordering}.log",
                benchmark:
                    f"logs/{network}/orderings/{ordering}.tsv"
                conda:
                    environment
                threads: tables["networks"][network]["threads"]
                resources:
                    mem_mb=tables["networks"][network]["memory"],
                    runtime=720,
                params:
                    **values,
                    code=code("make_ordering_over_collection.py"),
                message:
                    f"Order the filters of {network} over {collection}."
                script:
                    "../scripts/make_ordering_over_collection.py"

            rule:
                """Do the same for some of the images, whose sums the job of all puts together."""
                name:
                    f"part_of_ordering_{ordering}@{network}"
                input:
                    **files,
                output:
                    temp(directory(f"results/{network}/orderings/{ordering}/.parts.{{portion}}")),
                log:
                    f"logs/{network}/orderings/{ordering}/{{portion}}.log",
                benchmark:
                    f"logs/{network}/orderings/{ordering}/{{portion}}.tsv"
                conda:
                    environment
                threads: tables["networks"][network]["threads"]
                resources:
                    mem_mb=tables["networks"][network]["memory"],
                    runtime=720,
                params:
                    **values,
                    portion=entry("collections", collection, "portions", "{portion}"),
                    code=code("make_ordering_over_collection.py"),
                message:
                    f"Order the filters of {network} over portion {{wildcards.portion}} of {collection}."
                script:
                    "../scripts/make_ordering_over_collection.py"


# One job for a network: it reads the orders of all images, and feature maps of the first one only.
for network, files in ordering_files(tables).items():

    rule:
        """Judge every order by criteria of the seriation literature; compare orders; show both.

        What comes out are, for each layer, a table of all images and orders and a picture of the
        distances between filters of the first image in every order; and the page.
        """
        name:
            f"orderings@{network}"
        input:
            blobs=files["blobs"],
            made=files["made"],
        output:
            f"results/{network}/orderings/index.html",
            collect(
                "results/{network}/orderings/{layer}.{suffix}",
                network=network,
                layer=files["layers"],
                suffix=["csv"],
            ),
            reported(
                collect(
                    "results/{network}/orderings/{layer}.png",
                    network=network,
                    layer=files["layers"],
                ),
                "Orders",
            ),
        log:
            f"logs/{network}/orderings.log",
        benchmark:
            f"logs/{network}/orderings.tsv"
        group:
            "pages"
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            image=files["image"],
            layers=files["layers"],
            shown=files["shown"],
            code=code("make_orderings_page.py"),
        message:
            f"Judge the orders of filters in {network}."
        script:
            "../scripts/make_orderings_page.py"

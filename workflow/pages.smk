"""Pages for people: everything above to look at, offline, by double click.

Input: all pictures, volumes and tables of an image, a class and a run.
Output: results/{network}/{image}/index.html; results/{network}/classes/index.html and
results/{network}/classes/{collection}/index.html;
results/{network}/index.html; results/index.html and results/methods.html.
"""

from cnnvis.config.page_files import class_files, index_files, network_files, run_facts

tables["network_files"] = network_files(tables)
linked = index_files(tables)


rule image_page:
    """Show all that was made of one image in one network, layer by layer."""
    input:
        prototxt=entry("networks", "{network}", "prototxt"),
        labels=entry("networks", "{network}", "labels"),
        picture="results/{network}/{image}/input.png",
        prediction=branch(
            entry("networks", "{network}", "runs"),
            then="results/{network}/{image}/prediction.json",
            otherwise=[],
        ),
        made=entry("pages", "{network}", "{image}", "made"),
    output:
        "results/{network}/{image}/index.html",
    log:
        "logs/{network}/{image}/page.log",
    wildcard_constraints:
        network=any_of(tables["networks"]),
    group:
        "image_pages"
    conda:
        "../envs/workflow.yaml"
    params:
        model=entry("networks", "{network}", "model"),
        shown=entry("pages", "{network}", "{image}", "shown"),
        what_if=entry("what_if", "{network}"),
        code=code("make_image_page.py"),
    message:
        "Make the page of {wildcards.image} in {wildcards.network}."
    script:
        "../scripts/make_image_page.py"


# Which collections a network sees is up to the configuration, so every network has its own rule.
for network, artefacts in class_files(tables).items():
    if not artefacts:
        continue

    rule:
        """Show for each class which filters matter, which measure says so, and what pruning costs."""
        name:
            f"class_pages@{network}"
        input:
            labels=tables["networks"][network]["labels"],
            artefacts=artefacts,
        output:
            f"results/{network}/classes/index.html",
            collect(
                "results/{network}/classes/{collection}/index.html",
                network=network,
                collection=tables["classes"][network],
            ),
        log:
            f"logs/{network}/classes/page.log",
        group:
            "pages"
        conda:
            "../envs/workflow.yaml"
        params:
            network=network,
            code=code("make_class_pages.py"),
        message:
            f"Make the pages of the classes of {network}."
        script:
            "../scripts/make_class_pages.py"


rule network_page:
    """Show a network's layers: their shapes, weights and receptive fields, from its prototxt."""
    input:
        prototxt=entry("networks", "{network}", "prototxt"),
    output:
        "results/{network}/index.html",
    log:
        "logs/{network}/page.log",
    wildcard_constraints:
        network=any_of(tables["networks"]),
    group:
        "pages"
    conda:
        "../envs/workflow.yaml"
    params:
        input_shape=entry("networks", "{network}", "model", "input_shape"),
        shown=entry("network_files", "{network}"),
        code=code("make_network_page.py"),
    message:
        "Make the page of the network {wildcards.network}."
    script:
        "../scripts/make_network_page.py"


rule index:
    """Link every page of the run, and say what its numbers mean."""
    input:
        linked["made"],
        labels=[file for facts in tables["networks"].values() for file in facts["labels"]],
    output:
        page="results/index.html",
        methods="results/methods.html",
    log:
        "logs/index.log",
    group:
        "pages"
    conda:
        "../envs/workflow.yaml"
    params:
        shown=linked["shown"],
        run=run_facts(tables, workflow.configfiles),
        code=code("make_index.py"),
    message:
        "Make the page that leads to all others: results/index.html."
    script:
        "../scripts/make_index.py"

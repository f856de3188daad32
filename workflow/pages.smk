"""Pages for people: everything above to look at, offline, by double click.

Input: all pictures, volumes and tables of an image, a class and a run.
Output: results/{network}/{image}/index.html; results/{network}/classes/index.html;
results/index.html.
"""

from cnnvis.config.page_files import class_files, index_files


rule image_page:
    """Show all that was made of one image in one network, layer by layer."""
    input:
        prototxt=lookup(dpath="{network}/prototxt", within=tables["networks"]),
        labels=lookup(dpath="{network}/labels", within=tables["networks"]),
        picture="results/{network}/{image}/input.png",
        prediction="results/{network}/{image}/prediction.json",
        shown=lookup(dpath="{network}/{image}", within=tables["pages"]),
    output:
        "results/{network}/{image}/index.html",
    log:
        "logs/{network}/{image}/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        model=lookup(dpath="{network}/model", within=tables["networks"]),
        code=code("make_image_page.py"),
    message:
        "Make the page of {wildcards.image} in {wildcards.network}."
    script:
        "../scripts/make_image_page.py"


rule classes_page:
    """Show the importance of filters for each class, and what pruning costs."""
    input:
        lookup(dpath="{network}", within=class_files(tables)),
    output:
        "results/{network}/classes/index.html",
    log:
        "logs/{network}/classes/page.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_classes_page.py"),
    message:
        "Make the page on the classes in {wildcards.network}."
    script:
        "../scripts/make_classes_page.py"


rule index:
    """Link every page of the run."""
    input:
        index_files(tables),
    output:
        "results/index.html",
    log:
        "logs/index.log",
    conda:
        "../envs/workflow.yaml"
    params:
        code=code("make_index.py"),
    message:
        "Make the page that leads to all others: results/index.html."
    script:
        "../scripts/make_index.py"

"""From the YAML files to the tables the workflow looks things up in."""

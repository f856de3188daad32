"""Images, image sets, labels and downloaded files."""

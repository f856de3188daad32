"""The importance of filters, for images and classes, and what pruning costs."""

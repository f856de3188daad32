"""Pages for a browser: HTML that works offline, by double click, with nothing beside it.

A page shows exactly the files it is given; nothing is looked for in folders, so nothing outdated is
ever shown. Links are relative to the page, so the results folder can be moved or sent as it is.
"""

"""The report: the run folder described as one plain dict, drawn, and written as one HTML file.

`content` puts the sections together (files to a dict), `figures` draws (dict to SVG), `render` writes report.html,
`model_card` writes Markdown from the same dict.
"""

"""What a reader opens: the run folder described as one plain dict, drawn, and written as one HTML file.

`content*` describe (files to a dict), `figures*` draw (dict to SVG), `render` writes report.html, `model_card`
writes Markdown from the same dict.
"""

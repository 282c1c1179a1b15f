"""The parts that all reports share: blocks, tables, the HTML and the Markdown page, the style of plots and slices."""

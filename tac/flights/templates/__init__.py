"""The templates, style sheet and script that the page is made of."""

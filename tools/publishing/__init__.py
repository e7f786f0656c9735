"""Prepare a publication: name the source in the packaged template, check it, and build the files of a release."""

"""One module per data set: where its raw files are and what they hold."""

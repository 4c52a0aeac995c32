"""A finished run, asked again: combinations of modalities, maps of embeddings, curves of missing modalities."""

"""Principal directions of all token embeddings with dask, without reading the modality into memory at once.

    python examples/dask_statistics.py [--cache demo/cache] [--modality rep]

Chunks are those of the cache: each is read, checked and let go.
"""

import argparse

import numpy as np
from omnifuse import FeatureCache


def main() -> None:
    """Print how much of the variance the first principal directions hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cache", default="demo/cache")
    parser.add_argument("--modality", default="rep")
    options = parser.parse_args()

    rows = FeatureCache.open(options.cache).to_dask(options.modality).astype(np.float32)  # [R, D]
    mean, moments = rows.mean(axis=0), rows.T @ rows / len(rows)
    covariance = (moments - mean[:, None] * mean[None, :]).compute()  # [D, D]
    shares = np.linalg.eigvalsh(covariance)[::-1] / np.trace(covariance)
    print(
        f"{len(rows):,} rows in {rows.numblocks[0]} chunks: 10 directions hold {shares[:10].sum():.1%} of the variance"
    )


if __name__ == "__main__":
    main()

"""From raw records to predictions: extract a cache, train on it, look at the run, ask it about a cache.

    python examples/first_steps.py [--dataset mimic] [--raw data/mimic] [--cache cache] [--encoders random]

Without ``--encoders`` the data set's own text encoder and ResNet34 are used, which are downloaded at first.
"""

import argparse

import omnifuse


def main() -> None:
    """Print how good the predictions of each fold's test patients are, and of whom the run predicts most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dataset", default="mimic")
    parser.add_argument("--raw")
    parser.add_argument("--cache", default="cache")
    parser.add_argument("--encoders", nargs="*", default=())
    options = parser.parse_args()

    encoders = {"text_encoder": options.encoders, "image_encoder": options.encoders}
    omnifuse.extract(options.dataset, options.raw, options.cache, modalities=["ehr", "rep"], **encoders)

    run = omnifuse.train(options.cache, "omnifuse", "mortality", folds=3)
    area = run.metrics.auroc
    print(f"{run.metrics.samples:,} stays, {run.metrics.method}: AUROC {area.mean:.3f}, 95 % interval {area.ci}")

    predicted = omnifuse.load_run(run.path).predict(options.cache, drop=["rep"])  # as if there were no reports
    print(predicted.sort("p", descending=True).select("sample_id", "p", "models").head(3))


if __name__ == "__main__":
    main()

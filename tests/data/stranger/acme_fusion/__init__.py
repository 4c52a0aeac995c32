"""Things for OmniFuse; it prints when it is imported, as some packages do."""

print("acme_fusion is here", flush=True)  # noqa: T201

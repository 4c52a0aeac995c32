"""A feature cache in Croissant 1.0 (JSON-LD of ML Commons): what lies where and what it means, and no row of it.

Columns are described, not extracted: a zarr array is none of the formats that Croissant reads.
"""

from __future__ import annotations

from typing import Any

from ...cache_schema import FeatureCache

CONTEXT = {
    "@language": "en", "@vocab": "https://schema.org/", "citeAs": "cr:citeAs", "column": "cr:column",
    "conformsTo": "dct:conformsTo", "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"}, "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"}, "extract": "cr:extract", "field": "cr:field",
    "fileObject": "cr:fileObject", "fileProperty": "cr:fileProperty", "fileSet": "cr:fileSet", "format": "cr:format",
    "includes": "cr:includes", "isLiveDataset": "cr:isLiveDataset", "jsonPath": "cr:jsonPath", "key": "cr:key",
    "md5": "cr:md5", "parentField": "cr:parentField", "path": "cr:path", "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet", "references": "cr:references", "regex": "cr:regex", "repeated": "cr:repeated",
    "replace": "cr:replace", "sc": "https://schema.org/", "separator": "cr:separator", "source": "cr:source",
    "subField": "cr:subField", "transform": "cr:transform", "samplingRate": "cr:samplingRate",
    "equivalentProperty": "cr:equivalentProperty",
}  # fmt: skip

MANIFEST = "manifest.json"


def croissant(cache: FeatureCache) -> dict[str, Any]:
    """Return the description of a cache; licence, creator, address and date are for its owners to fill in."""
    samples = cache.samples.height
    tasks = "; ".join(f"{name} ({cache.task(name).kind})" for name in cache.tasks)
    modalities = "; ".join(_modality(cache, name) for name in cache.modalities)
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"omnifuse-{cache.dataset}",
        "description": f"Features of {cache.dataset}: {samples:,} samples. Modalities: {modalities}. Tasks: {tasks}.",
        "conformsTo": "http://mlcommons.org/croissant/1.0",
        "license": "TO BE FILLED IN",
        "url": "TO BE FILLED IN",
        "creator": {"@type": "sc:Organization", "name": "TO BE FILLED IN"},
        "version": "1.0.0",
        "isLiveDataset": False,
        "distribution": [
            {
                "@type": "cr:FileObject", "@id": MANIFEST, "name": MANIFEST,
                "description": "Every file of the cache with its sha256.",
                "contentUrl": MANIFEST, "encodingFormat": "application/json", "sha256": cache.digest,
            }
        ],
        "recordSet": [_records(cache)],
    }  # fmt: skip


def _modality(cache: FeatureCache, name: str) -> str:
    spec = cache.modality_spec(name)
    columns = [f"{column.name} [{column.unit}]" if column.unit else column.name for column in spec.columns]
    named = f": {', '.join(columns)}" if columns else ""
    return f"{name} ({spec.kind}, a row is {spec.row_meaning}, {cache.dim(name)} columns{named})"


def _records(cache: FeatureCache) -> dict[str, Any]:
    """Return what is stored, as rows of the manifest: a path and the checksum of every array."""
    return {
        "@type": "cr:RecordSet", "@id": "arrays", "name": "arrays",
        "description": "Paths of the arrays below the cache, with what each is.",
        "field": [
            {"@type": "cr:Field", "@id": f"arrays/{name}", "name": name, "dataType": "sc:Text", "description": what}
            for name, what in (("path", "path of a zarr array"), ("meaning", "what its rows are"))
        ],
        "data": [
            {"arrays/path": f"modalities/{name}/values", "arrays/meaning": cache.modality_spec(name).row_meaning}
            for name in cache.modalities
        ],
    }  # fmt: skip

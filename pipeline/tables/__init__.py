"""Tables of any origin: delimited text, Excel, Parquet; ids, labels, splits, numbers and words for missing in them."""

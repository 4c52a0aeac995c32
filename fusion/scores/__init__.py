"""From predictions as arrays to numbers: measures, intervals, curves, comparisons, subgroups; without torch."""

"""Raw clinical records -> feature cache: plan what is to be done, encode it once, commit the cache."""

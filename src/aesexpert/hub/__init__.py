"""The Hub: data set, models and metric published with their cards, and fetched.

`dataset_publication`, `model_publication` and `metric_publication` prepare and check, without network; `publish`
uploads and commits once.
"""

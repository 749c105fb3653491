"""The dtypes of the loop IR: how many bytes an element takes."""

BYTES = {"bool": 1, "int32": 4, "int64": 8, "float32": 4, "float64": 8}

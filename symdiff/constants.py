"""Numbers and dtypes of the Array API, so that `x.__array_namespace__()` has them; a dtype is its name."""

import math

pi, e, inf, nan = math.pi, math.e, math.inf, math.nan
newaxis = None
bool, int32, int64, float32, float64 = "bool", "int32", "int64", "float32", "float64"

__all__ = ["bool", "e", "float32", "float64", "inf", "int32", "int64", "nan", "newaxis", "pi"]

"""The normal form: the only way in which expressions are built.  Rules R1 to R12 of the design are here."""

from symdiff.normal_form.cores import is_guard, silences
from symdiff.normal_form.maps import map_node, reduce_node
from symdiff.normal_form.numbers import constant_array, exact, number, number_of, size_number
from symdiff.normal_form.sums import add, expand, permute, product, scale

__all__ = ["add", "constant_array", "exact", "expand", "is_guard", "map_node", "number", "number_of", "permute", "product",
           "reduce_node", "scale", "silences", "size_number"]

"""How each contestant computes the lines: a module for each, with a function for each key of the table.

A function takes the values of a line and returns a call without arguments, whose results are those of the reference, in
its order.  What a library wants in its own form (arrays on its device, compiled functions) is made before the call; what
it computes is waited for in the call.
"""

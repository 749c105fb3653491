"""Planning: what is computed in which order, in which pass over the data, and what is stored."""

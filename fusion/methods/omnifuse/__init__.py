"""The paper: weighting (equations 9 to 14), cascade (2 to 8), laziness (15 to 17), the method (18) and its trace."""

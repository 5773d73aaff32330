//! Matrices taken apart: inverse, solutions of linear systems, Cholesky factors, determinants, for batches of small square matrices.

use super::methods;

methods! {}

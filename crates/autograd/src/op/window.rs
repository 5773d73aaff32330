//! Windows that slide over tensors: convolution and pooling.

use super::methods;

methods! {}

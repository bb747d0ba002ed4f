//! Tests of loading as a whole; single faults are in `tests/golden_errors`.
//! What a whole book's loading says; faults with their exact texts are in `tests/golden_errors`.

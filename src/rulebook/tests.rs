//! Tests of loading as a whole; single faults are in `tests/golden_errors`.

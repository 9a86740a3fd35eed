//! Tests of the whole: structure, conformance, the window end to end.

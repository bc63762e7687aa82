package metrictest

import "os"

// Long reports whether the tests that can take long should: the environment has
// ASYNCMETRIC_TEST_LONG=1. Without it they do the same, less often.
func Long() bool { return os.Getenv("ASYNCMETRIC_TEST_LONG") == "1" }

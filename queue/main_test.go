package queue_test

import (
	"testing"

	"go.uber.org/goleak"
)

// No test leaves a goroutine behind: nothing waits in a queue for ever.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Package queuetest tests implementations of [queue.Queue].
//
// [Run] checks the claims that the documentation of Queue makes, one subtest
// each, under every overflow policy. When one fails, the words of the contract
// are logged next to what was seen:
//
//	func TestMyQueue(t *testing.T) {
//		queuetest.Run(t, queuetest.Config{
//			New: func(t *testing.T, maxPoints int, overflow queue.Overflow) queue.Queue {
//				return open(t.TempDir(), maxPoints, overflow)
//			},
//		})
//	}
//
// The suite uses nothing but the contract, so it serves a queue in memory, on
// disk and behind a network alike. It assumes nothing of how long a call
// takes: it waits for what has to happen, for half a minute at most, and of
// what must not happen it looks at the traces. Run it with the race detector.
//
// [RunTotals] tests, apart from that, what a queue with the policy Coalesce
// makes of totals: random sources put in collections whole and in pieces, with
// series that come once, resets and clocks that step back, and a reference that
// forgets nothing judges what comes out.
//
// One part of Run checks random sequences of calls against a model, with package
// rapid. Where calls are slow, its flags -rapid.checks and -rapid.steps make
// that shorter.
package queuetest

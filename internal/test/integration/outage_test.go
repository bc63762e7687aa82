package integration

import (
	"slices"
	"time"
)

// An outage is a way in which Prometheus is not there for a while.
type outage struct {
	name  string
	begin func(*front)
	end   func(*front)
	// requestTimeout is when a client gives up on a request, if the outage is
	// one of those that clients have to find out about in this way.
	requestTimeout time.Duration
	restarts       bool // Prometheus forgets what it has not stored
}

// Clients have so long for a request. The short one is for outages that are
// slow, and long enough for a healthy server.
const (
	patient   = time.Minute
	impatient = time.Second
)

// faulty is an outage with a server that listens.
func faulty(name string, fault fault, timeout time.Duration) outage {
	return outage{
		name:           name,
		begin:          func(f *front) { f.misbehave(fault) },
		end:            func(f *front) { f.misbehave(nil) },
		requestTimeout: timeout,
	}
}

// closed is an outage with no server.
func closed(name string, restarts bool) outage {
	return outage{
		name:  name,
		begin: func(f *front) { f.misbehave(nil); f.hangUp() },
		end: func(f *front) {
			if restarts {
				f.store.restart()
			}
			f.listen()
		},
		requestTimeout: patient,
		restarts:       restarts,
	}
}

// refusals are the outages in which nothing is stored: whatever a client was
// told, the data is not there.
var refusals = []outage{
	faulty("answers 503", unavailable, patient),
	faulty("is slow", asleep, impatient),
	faulty("resets connections in the middle of a request", resetEarly, patient),
	closed("refuses connections", false),
	closed("restarts", true),
}

// lostAnswers are the outages in which the data is stored, and clients cannot
// know.
var lostAnswers = []outage{
	faulty("stores, and is slow to say so", late, impatient),
	faulty("stores, and resets the connection in the middle of its answer", resetLate, patient),
}

// quick returns the outages for which nobody has to wait.
func quick(outages []outage) []outage {
	return slices.DeleteFunc(slices.Clone(outages), func(o outage) bool { return o.requestTimeout == impatient })
}

// requestTimeout returns the timeout for going through all of these outages.
func requestTimeout(outages []outage) time.Duration {
	timeout := patient
	for _, o := range outages {
		timeout = min(timeout, o.requestTimeout)
	}
	return timeout
}

// Package statusz serves a page that shows what exporters are doing: how full
// their queues are, how fast points come and go, whether the backend fails and
// when the next attempt is due, the last errors, and the options in effect. It
// takes one line:
//
//	mux.Handle("/debug/asyncmetric", statusz.Handler(exporter))
//
// The page is one HTML document without scripts and without anything to load.
// It loads itself again every two seconds; with ?refresh=off it does not.
//
// Nothing asks who is looking: the page shows the options of the exporters and
// the texts of errors, which can name hosts. Serve it where only those come who
// may see that. What a server put into an error stays text, whatever it is, and
// what is invisible in it is made visible.
//
// # JSON
//
// With ?format=json the answer is the same for programs. Times are RFC 3339, in
// UTC, durations are seconds, counts are data points where nothing else is said,
// and rates data points in a second. The names below stay; new ones may be added.
//
//	time                      when this was true
//	exporters[]               in the order of the arguments of Handler
//	  name                    the otel.component.name of the exporter's metrics
//	  state                   idle, delivering, backing off, draining or shut down
//	  retry                   null unless a failed batch waits for its next attempt
//	    time, in_seconds      when that is; negative seconds: it is due
//	    error                 how it failed
//	  queue
//	    waiting               what waits, without what is in flight
//	    in_flight             what is in flight
//	    collections           how many collections both are
//	    capacity              how many points may wait; null: no bound in points
//	    bytes                 how many bytes count against capacity_bytes; null: not known
//	    capacity_bytes        how many bytes may wait; null: no bound in bytes
//	    fill                  the larger one of waiting as a part of capacity and bytes as
//	                          a part of capacity_bytes, 1 is full; null: neither is known
//	    oldest_age_seconds    of the oldest collection; null if there is none
//	  totals                  since the exporter began
//	    accepted, exported, coalesced, dropped
//	    refused               points for which Export returned an error
//	    retries               attempts that repeated an earlier one
//	    exemplars             exemplars, not points, that the queue left out of what waits
//	                          because it was short of memory
//	  rates                   null until there are two samples
//	    current               between the last two samples
//	    mean, max             over all samples
//	      accepted, exported, coalesced, dropped
//	    current_seconds       between the last two samples
//	    window_seconds        between the first sample and the last
//	  history[]               what happened between two samples, the oldest first
//	    time, seconds         when it ended, and how long it was
//	    accepted, exported, coalesced, dropped
//	  errors[]                the last ones, the newest first
//	    time, age_seconds, message
//	  settings[]              the options in effect
//	    name, value
//
// # Samples
//
// A rate is the difference of a counter between two samples, divided by the
// time between them. Samples are taken when someone looks, at least a second
// apart, by page and JSON alike, so the first answer has no rates. At most 300
// of the last ten minutes are kept for each exporter. Nothing happens while
// nobody looks, and no goroutine is started.
package statusz

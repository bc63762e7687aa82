package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/asyncmetric/asyncmetric/queue"
)

// metaPartitions is the key of the number of partitions in the metadata of a
// stream.
const metaPartitions = "asyncmetric.partitions"

// group is the priority group of the consumers; they have one each.
const group = "relays"

// window is how many messages of a partition may be in the hands of a relay, if
// it is pinned.
const window = 64

func (c *config) partSubject(p int) string { return c.subject + ".part." + strconv.Itoa(p) }
func (c *config) deadSubject() string      { return c.subject + ".dead" }
func (c *config) relaysSubject() string    { return c.subject + ".relays" }
func (c *config) deadStream() string       { return c.stream + "_DEAD" }

// consumerName is the name of the consumer of a partition.
func consumerName(p int) string { return "relay-" + strconv.Itoa(p) }

// partSubjects returns the subjects of a stream: each by its name, so that the
// server refuses what is for a partition that there is not.
func (c *config) partSubjects(partitions int) (subjects []string) {
	for p := range partitions {
		subjects = append(subjects, c.partSubject(p))
	}
	return subjects
}

// streamConfig is what a stream is made with.
func (c *config) streamConfig(partitions int) natsjs.StreamConfig {
	discard := natsjs.DiscardNew
	if c.overflow != nil && *c.overflow == queue.DropOldest {
		discard = natsjs.DiscardOld
	}
	return natsjs.StreamConfig{
		Name:        c.stream,
		Description: "collections of OpenTelemetry metrics",
		Subjects:    c.partSubjects(partitions),
		Retention:   natsjs.WorkQueuePolicy,
		Discard:     discard,
		MaxBytes:    c.maxBytes,
		MaxAge:      c.maxAge,
		Storage:     c.storage,
		Replicas:    max(c.replicas, 1),
		Duplicates:  c.duplicates(),
		Metadata:    map[string]string{metaPartitions: strconv.Itoa(partitions)},
	}
}

// duplicates is how long the stream knows a message id, which may not be longer
// than it keeps the message.
func (c *config) duplicates() time.Duration {
	const usual = 2 * time.Minute
	if c.maxAge > 0 {
		return min(usual, c.maxAge)
	}
	return usual
}

// findStream returns the stream and its number of partitions, and makes it if
// it may and has to, with as many as it had before, if it is known.
func findStream(ctx context.Context, js natsjs.JetStream, c *config, before int) (natsjs.Stream, int, error) {
	s, err := js.Stream(ctx, c.stream)
	if errors.Is(err, natsjs.ErrStreamNotFound) && !c.existing {
		s, err = js.CreateStream(ctx, c.streamConfig(cmp.Or(c.partitions, before, defaultPartitions)))
		if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) { // someone else was faster
			s, err = js.Stream(ctx, c.stream)
		}
	}
	switch {
	case errors.Is(err, natsjs.ErrStreamNotFound):
		return nil, 0, fmt.Errorf("%w: %w", ErrNoStream, err)
	case err != nil:
		return nil, 0, err
	}
	partitions, err := c.check(s.CachedInfo())
	return s, partitions, err
}

// check returns the number of partitions of a stream, or what is wrong with it.
func (c *config) check(info *natsjs.StreamInfo) (int, error) {
	value := info.Config.Metadata[metaPartitions]
	partitions, err := strconv.Atoi(value)
	switch {
	case err != nil || partitions < 1 || partitions > maxPartitions:
		return 0, fmt.Errorf("%w: its metadata %s is %q, not a number of partitions, 1 to %d", ErrMismatch, metaPartitions, value, maxPartitions)
	case c.partitions > 0 && c.partitions != partitions:
		return 0, fmt.Errorf("%w: it has %d partitions, WithPartitions says %d", ErrMismatch, partitions, c.partitions)
	case info.Config.Replicas < c.replicas:
		return 0, fmt.Errorf("%w: it has %d replicas, WithReplicas says %d", ErrMismatch, info.Config.Replicas, c.replicas)
	case info.Config.Retention != natsjs.WorkQueuePolicy:
		return 0, fmt.Errorf("%w: its retention is %v, must be that of a work queue", ErrMismatch, info.Config.Retention)
	}
	if has := overflowOf(info); c.overflow != nil && *c.overflow != has {
		return 0, fmt.Errorf("%w: it does %v, WithOverflow says %v", ErrMismatch, has, *c.overflow)
	}
	for _, s := range c.partSubjects(partitions) {
		if !slices.Contains(info.Config.Subjects, s) {
			return 0, fmt.Errorf("%w: its subjects are %s, must include %s", ErrMismatch, strings.Join(info.Config.Subjects, ", "), s)
		}
	}
	return partitions, nil
}

// overflowOf returns what a stream does when it is full.
func overflowOf(info *natsjs.StreamInfo) queue.Overflow {
	if info.Config.Discard == natsjs.DiscardOld {
		return queue.DropOldest
	}
	return queue.DropNewest
}

// makeDeadStream makes the stream for dead letters, if it may and has to, as safe
// as the one that they are of. Where it is missing, a dead letter is reported, and
// its message stays where it is.
func makeDeadStream(ctx context.Context, js natsjs.JetStream, c *config, of *natsjs.StreamInfo) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	_, err := js.Stream(ctx, c.deadStream())
	if c.existing || !errors.Is(err, natsjs.ErrStreamNotFound) {
		return nil
	}
	_, err = js.CreateStream(ctx, natsjs.StreamConfig{
		Name:        c.deadStream(),
		Description: "what a relay of " + c.stream + " could not read",
		Subjects:    []string{c.deadSubject()},
		Discard:     natsjs.DiscardOld,
		MaxBytes:    maxDeadBytes,
		Storage:     of.Config.Storage,
		Replicas:    of.Config.Replicas,
	})
	if errors.Is(err, natsjs.ErrStreamNameAlreadyInUse) {
		return nil
	}
	return err
}

// maxDeadBytes is how much the stream for dead letters keeps.
const maxDeadBytes = 64 << 20

// findConsumer returns the consumer of a partition, and makes it where it is
// missing. Every reader needs its own, as that is what gets pinned.
func findConsumer(ctx context.Context, js natsjs.JetStream, c *config, p int) (natsjs.Consumer, error) {
	consumer, err := js.Consumer(ctx, c.stream, consumerName(p))
	if errors.Is(err, natsjs.ErrConsumerNotFound) {
		consumer, err = makeConsumer(ctx, js, c, p)
	}
	if err != nil {
		return nil, err
	}
	return consumer, c.checkConsumer(consumer, p)
}

func makeConsumer(ctx context.Context, js natsjs.JetStream, c *config, p int) (natsjs.Consumer, error) {
	single := natsjs.ConsumerConfig{
		Durable:       consumerName(p),
		FilterSubject: c.partSubject(p),
		AckPolicy:     natsjs.AckExplicitPolicy,
		AckWait:       c.takeover,
		MaxDeliver:    -1,
		MaxAckPending: 1,
	}
	pinned := single
	pinned.MaxAckPending = window
	pinned.PriorityPolicy = natsjs.PriorityPolicyPinned
	pinned.PriorityGroups = []string{group}
	pinned.PinnedTTL = c.takeover
	consumer, err := js.CreateOrUpdateConsumer(ctx, c.stream, pinned)
	if err == nil && !isPinned(consumer) { // an old server overlooks what it does not know
		consumer, err = js.CreateOrUpdateConsumer(ctx, c.stream, single)
	}
	return consumer, err
}

// checkConsumer returns what is wrong with a consumer, which another program may
// have made.
func (c *config) checkConsumer(consumer natsjs.Consumer, p int) error {
	has := consumer.CachedInfo().Config
	wrong := func(what string, value, want any) error {
		return fmt.Errorf("%w: its consumer %s has %s %v, must be %v", ErrMismatch, consumerName(p), what, value, want)
	}
	switch {
	case has.FilterSubject != c.partSubject(p):
		return wrong("the subject", has.FilterSubject, c.partSubject(p))
	case has.AckPolicy != natsjs.AckExplicitPolicy:
		return wrong("the acknowledgements", has.AckPolicy, natsjs.AckExplicitPolicy)
	case has.AckWait != c.takeover:
		return wrong("the time for an acknowledgement", has.AckWait, c.takeover)
	case has.MaxDeliver > 0:
		return wrong("deliveries", has.MaxDeliver, -1)
	case has.DeliverPolicy != natsjs.DeliverAllPolicy:
		return wrong("the policy of delivery", has.DeliverPolicy, natsjs.DeliverAllPolicy)
	case isPinned(consumer) && !slices.Contains(has.PriorityGroups, group):
		return wrong("the groups", has.PriorityGroups, []string{group})
	case !isPinned(consumer) && has.MaxAckPending != 1:
		return wrong("no pinned clients, and messages in flight", has.MaxAckPending, 1)
	}
	return nil
}

// takeoverOf returns the time for an acknowledgement that the consumers of a
// stream have, which the relays of a stream must agree on, or what was asked for
// if there are none.
func takeoverOf(ctx context.Context, js natsjs.JetStream, c *config) (time.Duration, error) {
	consumer, err := js.Consumer(ctx, c.stream, consumerName(0))
	switch {
	case errors.Is(err, natsjs.ErrConsumerNotFound):
		return c.takeover, nil
	case err != nil:
		return 0, err
	}
	takeover := consumer.CachedInfo().Config.AckWait
	if takeover < minTakeover {
		return 0, fmt.Errorf("%w: its consumers have %v for an acknowledgement, must be at least %v", ErrMismatch, takeover, minTakeover)
	}
	return takeover, nil
}

// windowOf returns how many messages of a partition may be in the hands of a
// relay.
func windowOf(c natsjs.Consumer) int {
	if isPinned(c) {
		return window
	}
	return 1
}

// isPinned reports whether a consumer is pinned to one client at a time.
func isPinned(c natsjs.Consumer) bool {
	return c.CachedInfo().Config.PriorityPolicy == natsjs.PriorityPolicyPinned
}

package asyncmetric_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/sdk/metric"

	"github.com/asyncmetric/asyncmetric"
	"github.com/asyncmetric/asyncmetric/internal/metrictest"
	"github.com/asyncmetric/asyncmetric/queue"
)

func TestNewOfNilIsAnError(t *testing.T) {
	e, err := asyncmetric.New(nil)
	assert.ErrorContains(t, err, "nil")
	assert.Nil(t, e)
}

func TestInvalidOptionsAreNamed(t *testing.T) {
	memory, err := queue.NewMemory(queue.Bound{Points: 1}, queue.Block)
	require.NoError(t, err)
	retry := func(r asyncmetric.Retry) asyncmetric.Option { return asyncmetric.WithRetry(r) }
	for want, opts := range map[string][]asyncmetric.Option{
		"WithMaxQueueSize(0): must be at least 1":        {asyncmetric.WithMaxQueueSize(0)},
		"WithMaxQueueBytes(0): must be at least 1":       {asyncmetric.WithMaxQueueBytes(0)},
		"WithMaxQueueBytes(-1): must be at least 1":      {asyncmetric.WithMaxQueueBytes(-1)},
		"WithOverflow(Overflow(9)): must be one of":      {asyncmetric.WithOverflow(9)},
		"WithOverflow(Overflow(0)): must be one of":      {asyncmetric.WithOverflow(0)},
		"WithMaxExportBatchSize(-1): must be at least 1": {asyncmetric.WithMaxExportBatchSize(-1)},
		"WithExportTimeout(0s): must be above 0":         {asyncmetric.WithExportTimeout(0)},
		"WithDrainTimeout(-1s): must be above 0":         {asyncmetric.WithDrainTimeout(-time.Second)},
		"WithMerging(-1ns): must be at least 0":          {asyncmetric.WithMerging(-1)},
		"WithMerging cannot be combined with":            {asyncmetric.WithMerging(0), asyncmetric.WithMaxExportBatchSize(0)},
		"WithMerging(1m0s) lets everything become older": {asyncmetric.WithMerging(time.Minute), asyncmetric.WithMaxAge(time.Minute)},
		"WithMaxAge(-1s): must be above 0":               {asyncmetric.WithMaxAge(-time.Second)},
		"WithMinInterval(-1s): must be above 0":          {asyncmetric.WithMinInterval(-time.Second)},
		"WithMeterProvider(nil)":                         {asyncmetric.WithMeterProvider(nil)},
		"WithQueue(nil)":                                 {asyncmetric.WithQueue(nil)},
		"WithErrorHandler(nil)":                          {asyncmetric.WithErrorHandler(nil)},
		"WithOnDrop(nil)":                                {asyncmetric.WithOnDrop(nil)},
		"option 2 of New is nil":                         {asyncmetric.WithoutRetry(), nil},
		"WithMaxQueueSize concerns the queue in memory":  {asyncmetric.WithQueue(memory), asyncmetric.WithMaxQueueSize(5)},
		"WithMaxQueueBytes concerns the queue in memory": {asyncmetric.WithMaxQueueBytes(5), asyncmetric.WithQueue(memory)},
		"WithOverflow concerns the queue in memory":      {asyncmetric.WithOverflow(queue.Block), asyncmetric.WithQueue(memory)},
		"InitialInterval is -1ns: must be above 0":       {retry(asyncmetric.Retry{InitialInterval: -1})},
		"MaxInterval is 30s: must be at least InitialInterval (1m0s)": {
			retry(asyncmetric.Retry{InitialInterval: time.Minute, MaxInterval: 30 * time.Second}),
		},
		"MaxElapsedTime is -1ns":           {retry(asyncmetric.Retry{MaxElapsedTime: -1})},
		"Multiplier is 0.5":                {retry(asyncmetric.Retry{Multiplier: 0.5})},
		"Multiplier is NaN":                {retry(asyncmetric.Retry{Multiplier: math.NaN()})},
		"Multiplier is +Inf":               {retry(asyncmetric.Retry{Multiplier: math.Inf(1)})},
		"Jitter is 1.5: must be at most 1": {retry(asyncmetric.Retry{Jitter: 1.5})},
		"Jitter is NaN":                    {retry(asyncmetric.Retry{Jitter: math.NaN()})},
	} {
		e, err := asyncmetric.New(&metrictest.Exporter{}, opts...)
		assert.ErrorIs(t, err, asyncmetric.ErrInvalidOption, want)
		assert.ErrorContains(t, err, want)
		assert.Nil(t, e)
	}
}

func TestAllInvalidOptionsAreNamedAtOnce(t *testing.T) {
	_, err := asyncmetric.New(&metrictest.Exporter{},
		asyncmetric.WithMaxQueueSize(-3), asyncmetric.WithExportTimeout(-1), asyncmetric.WithRetry(asyncmetric.Retry{Jitter: 2}))
	assert.ErrorContains(t, err, "WithMaxQueueSize(-3)")
	assert.ErrorContains(t, err, "WithExportTimeout(-1ns)")
	assert.ErrorContains(t, err, "Jitter is 2")
}

func TestQueueIsReplacedAndClosed(t *testing.T) {
	q, err := queue.NewMemory(queue.Bound{Points: 2}, queue.DropOldest)
	require.NoError(t, err)
	g := newGate()
	inner := &metrictest.Exporter{OnExport: g.stuck}
	e, r := start(t, inner, asyncmetric.WithQueue(q))
	export(t, e, 1)
	<-g.arrived
	export(t, e, 2, 3, 4)
	assert.Equal(t, 1, r.dropped()[asyncmetric.ReasonOverflow], "the bound is that of the queue")
	assert.Equal(t, 3, q.Stats().Queued)
	close(g.open)
	shutdown(t, e, inner)
	assert.ErrorIs(t, q.Put(t.Context(), metrictest.Numbers(1, 1)), queue.ErrClosed)
}

// pointless is an exporter of a pointer type, that may be nil.
type pointless struct{ metric.Exporter }

// Error handlers of the kinds that may be nil.
type (
	mapHandler   map[string]error
	sliceHandler []error
	chanHandler  chan error
)

func (mapHandler) Handle(error)   {}
func (sliceHandler) Handle(error) {}
func (chanHandler) Handle(error)  {}

func TestMistakesOfNewAreErrors(t *testing.T) {
	inner := &metrictest.Exporter{}
	whole, _ := start(t, inner)
	used, closed := newQueue(t), newQueue(t)
	user, _ := start(t, &metrictest.Exporter{}, asyncmetric.WithQueue(used))
	require.NoError(t, closed.Close())
	var noQueue *queue.Memory
	var noProvider *metric.MeterProvider
	for name, test := range map[string]struct {
		inner metric.Exporter
		opts  []asyncmetric.Option
		is    error
		says  string
	}{
		"no exporter":              {nil, nil, nil, "the exporter is nil"},
		"a nil pointer":            {(*pointless)(nil), nil, nil, "the exporter is nil"},
		"a nil map":                {inner, []asyncmetric.Option{asyncmetric.WithErrorHandler(mapHandler(nil))}, asyncmetric.ErrInvalidOption, "WithErrorHandler(nil)"},
		"a nil slice":              {inner, []asyncmetric.Option{asyncmetric.WithErrorHandler(sliceHandler(nil))}, asyncmetric.ErrInvalidOption, "WithErrorHandler(nil)"},
		"a nil channel":            {inner, []asyncmetric.Option{asyncmetric.WithErrorHandler(chanHandler(nil))}, asyncmetric.ErrInvalidOption, "WithErrorHandler(nil)"},
		"one of ours, embedded":    {struct{ *asyncmetric.Exporter }{whole}, nil, nil, "cannot be the inner exporter of another one"},
		"an exporter of ours":      {whole, nil, nil, "a *asyncmetric.Exporter cannot be the inner exporter of another one"},
		"a replica of ours":        {inner, []asyncmetric.Option{asyncmetric.WithReplicas(whole)}, asyncmetric.ErrInvalidOption, "replica 1: a *asyncmetric.Exporter"},
		"a replica, a nil pointer": {inner, []asyncmetric.Option{asyncmetric.WithReplicas((*pointless)(nil))}, asyncmetric.ErrInvalidOption, "replica 1: the exporter is nil"},
		"a queue in use":           {inner, []asyncmetric.Option{asyncmetric.WithQueue(used)}, queue.ErrInUse, "WithQueue"},
		"a closed queue":           {inner, []asyncmetric.Option{asyncmetric.WithQueue(closed)}, queue.ErrClosed, "WithQueue"},
		"a nil queue":              {inner, []asyncmetric.Option{asyncmetric.WithQueue(noQueue)}, asyncmetric.ErrInvalidOption, "WithQueue(nil)"},
		"a nil provider":           {inner, []asyncmetric.Option{asyncmetric.WithMeterProvider(noProvider)}, asyncmetric.ErrInvalidOption, "WithMeterProvider(nil)"},
		"a nil handler":            {inner, []asyncmetric.Option{asyncmetric.WithErrorHandler(otel.ErrorHandlerFunc(nil))}, asyncmetric.ErrInvalidOption, "WithErrorHandler(nil)"},
		"no name":                  {inner, []asyncmetric.Option{asyncmetric.WithName("")}, asyncmetric.ErrInvalidOption, `WithName("")`},
		"retry and no retry":       {inner, []asyncmetric.Option{asyncmetric.WithoutRetry(), asyncmetric.WithRetry(asyncmetric.Retry{})}, asyncmetric.ErrInvalidOption, "WithRetry cannot be combined with WithoutRetry"},
	} {
		e, err := asyncmetric.New(test.inner, test.opts...)
		assert.Nil(t, e, name)
		assert.ErrorContains(t, err, test.says, name)
		if test.is != nil {
			assert.ErrorIs(t, err, test.is, name)
		}
	}
	require.NoError(t, whole.Shutdown(t.Context()))
	require.NoError(t, user.Shutdown(t.Context()), "it still works")
}

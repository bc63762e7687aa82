package jetstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
)

func TestTheObserverHearsOfAnErrorOnceAndOnlyIfItLasts(t *testing.T) {
	var f errorFilter
	now := time.Now()
	leaders := fmt.Errorf("%w: Leadership Change", errInterrupted)
	assert.False(t, f.isNews(leaders, now))
	assert.False(t, f.isNews(nats.ErrNoResponders, now.Add(time.Second)))
	assert.True(t, f.isNews(nats.ErrNoResponders, now.Add(time.Minute)), "it lasts")
	assert.False(t, f.isNews(nats.ErrNoResponders, now.Add(2*time.Minute)), "it was told")
	assert.True(t, f.isNews(leaders, now.Add(3*time.Minute)))
	assert.False(t, f.isNews(errPinLost, now.Add(time.Hour)), "the partition is another relay's")
	f = errorFilter{}
	assert.True(t, f.isNews(ErrMismatch, now), "nothing to wait for")
	assert.False(t, f.isNews(ErrMismatch, now))
}

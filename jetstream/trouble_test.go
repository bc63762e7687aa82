package jetstream

import (
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/stretchr/testify/assert"
)

func TestTroubleIsToldOnceAndOnlyIfItLasts(t *testing.T) {
	var r trouble
	now := time.Now()
	leaders := fmt.Errorf("%w: Leadership Change", errInterrupted)
	assert.False(t, r.isNews(leaders, now))
	assert.False(t, r.isNews(nats.ErrNoResponders, now.Add(time.Second)))
	assert.True(t, r.isNews(nats.ErrNoResponders, now.Add(time.Minute)), "it lasts")
	assert.False(t, r.isNews(nats.ErrNoResponders, now.Add(2*time.Minute)), "it was told")
	assert.True(t, r.isNews(leaders, now.Add(3*time.Minute)))
	assert.False(t, r.isNews(errPinLost, now.Add(time.Hour)), "it is somebody else's")
	r = trouble{}
	assert.True(t, r.isNews(ErrMismatch, now), "nothing to wait for")
	assert.False(t, r.isNews(ErrMismatch, now))
}

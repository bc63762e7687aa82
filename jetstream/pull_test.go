package jetstream

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRequestsKnowDomainAndPrefix(t *testing.T) {
	conn := connect(t, startServer(t, nil).ClientURL()).Conn()
	inDomain, err := natsjs.NewWithDomain(conn, "hub")
	require.NoError(t, err)
	assert.Equal(t, "$JS.hub.API.CONSUMER.MSG.NEXT.S.relay-0", pullSubject(inDomain, "S", "relay-0"))
	imported, err := natsjs.NewWithAPIPrefix(conn, "my.api")
	require.NoError(t, err)
	assert.Equal(t, "my.api.CONSUMER.MSG.NEXT.S.relay-0", pullSubject(imported, "S", "relay-0"))
}

func TestARequestThatNobodyEndsTimesOut(t *testing.T) {
	js := connect(t, startServer(t, nil).ClientURL())
	_, err := js.Conn().SubscribeSync("silent")
	require.NoError(t, err)
	p, err := newPull(js.Conn(), "silent", pullRequest{Expires: 1, Batch: 1})
	require.NoError(t, err)
	defer p.close()
	p.end = time.Now().Add(-attemptTimeout - 1)
	_, err = p.next(t.Context(), time.Millisecond, nil)
	require.ErrorIs(t, err, nats.ErrTimeout)
}

func TestWhatTheServerAnswersIsToldApart(t *testing.T) {
	for status, want := range map[string]error{"404": errPullEnded, "408": errPullEnded, "423": errPinLost, "409": errInterrupted, "503": nats.ErrNoResponders} {
		msg := nats.NewMsg("x")
		msg.Header.Set("Status", status)
		assert.ErrorIs(t, answer(msg), want)
	}
}

func TestWhatIsOnItsWayWhenAReaderStopsIsGivenBack(t *testing.T) {
	url := startServer(t, nil).ClientURL()
	line := newLine(t, url)
	slow, js := connect(t, line.url), connect(t, url)
	e := newExporter(t, js, WithPartitions(1))
	require.NoError(t, e.publisher.find(t.Context()))
	_, err := js.CreateConsumer(t.Context(), "ASYNCMETRIC", natsjs.ConsumerConfig{Durable: consumerName(0), FilterSubject: "asyncmetric.part.0", AckPolicy: natsjs.AckExplicitPolicy})
	require.NoError(t, err)
	p, err := newPull(slow.Conn(), pullSubject(js, "ASYNCMETRIC", consumerName(0)), pullRequest{Expires: time.Second, Batch: 10})
	require.NoError(t, err)
	require.NoError(t, slow.Conn().Flush())
	line.cut()
	handOver(t, e, 1, 0, 1) // the server has sent it
	time.AfterFunc(100*time.Millisecond, line.mend)
	replies, _ := p.close()
	assert.Len(t, replies, 1, "it can be given back")
}

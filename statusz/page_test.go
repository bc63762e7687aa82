package statusz

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/xml"
	"errors"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/asyncmetric/asyncmetric"
)

// document is what a page consists of.
type document struct {
	text       string // all but the style, with white space made one
	elements   map[string]int
	attributes map[string][]string // all values of each
}

// read parses the page that h answers with. It demands that all elements are
// closed where they should be.
func read(t *testing.T, h handler, target string) document {
	t.Helper()
	d := document{elements: map[string]int{}, attributes: map[string][]string{}}
	parser := xml.NewDecoder(get(h, target).Body)
	parser.Strict, parser.AutoClose, parser.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	var text strings.Builder
	var element string
	for {
		token, err := parser.Token()
		if errors.Is(err, io.EOF) {
			d.text = strings.Join(strings.Fields(text.String()), " ")
			return d
		}
		require.NoError(t, err)
		switch token := token.(type) {
		case xml.CharData:
			if element != "style" {
				text.Write(token)
			}
		case xml.EndElement:
			element = ""
		case xml.StartElement:
			element = token.Name.Local
			d.elements[token.Name.Local]++
			for _, a := range token.Attr {
				d.attributes[a.Name.Local] = append(d.attributes[a.Name.Local], a.Value)
			}
		}
	}
}

func TestThePageSaysWhatAnExporterDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &fake{status: busy(time.Now().Add(4 * time.Second))}
		h := show(f)
		h.report()
		time.Sleep(2 * time.Second)
		f.count(2468, 246, 24, 2)
		h.report()
		time.Sleep(2 * time.Second)
		f.count(6, 4, 2, 0)
		got := read(t, h, "/").text
		for _, want := range []string{
			"github.com/asyncmetric/asyncmetric.Exporter/7 State: backing off",
			"The next one is due in 4 s. 2000-01-01 00:00:08 UTC 503 Service Unavailable",
			"9,716 of 10,000 points wait 97 %",
			"In flight 480", "Collections 17", "Oldest 1 min 5 s", "Retries 3", "Refused 5",
			"Points per second last 4 s",
			"Accepted 3 /s max 1,234 mean 619 total 14,819",
			"Exported 2 /s max 123 mean 62.5 total 1,595",
			"Coalesced 1 /s max 12 mean 6.5 total 2,026",
			"Dropped 0 /s max 1 mean 0.5 total 1,002",
			"1 min 30 s ago 1999-12-31 23:58:34 UTC connection refused",
			"WithOverflow Coalesce",
		} {
			assert.Contains(t, got, want)
		}
	})
}

func TestThePageOfAnExporterThatHasDoneNothing(t *testing.T) {
	f := &fake{status: asyncmetric.Status{Name: "x", State: asyncmetric.StateIdle}}
	got := read(t, show(f), "/").text
	for _, want := range []string{
		"State: idle", "0 points wait no bound In flight", "Oldest none", "None so far.",
		"Collecting the first rates. The page refreshes every 2 s.", "Accepted total 0",
	} {
		assert.Contains(t, got, want)
	}
	assert.NotContains(t, got, "due")
}

func TestThePageSaysHowManyBytesThereAre(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*asyncmetric.Status)
		want   string
	}{
		"beside points":      {func(*asyncmetric.Status) {}, "7,520 of 10,000 points wait 60 MiB of 64 MiB 94 %"},
		"no bound in points": {func(s *asyncmetric.Status) { s.Capacity = 0 }, "7,520 points wait 60 MiB of 64 MiB 94 %"},
		"no bound in bytes":  {func(s *asyncmetric.Status) { s.CapacityBytes = 0 }, "7,520 of 10,000 points wait 60 MiB 75 %"},
		"no bound":           {func(s *asyncmetric.Status) { s.Capacity, s.CapacityBytes = 0, 0 }, "7,520 points wait 60 MiB no bound"},
		"not known": {func(s *asyncmetric.Status) { s.Capacity, s.CountsBytes = 0, false },
			"7,520 points wait at most 64 MiB In flight"},
		"exemplars": {func(s *asyncmetric.Status) { s.Stats.Exemplars = 1234 }, "Exemplars left out 1,234"},
	} {
		s := busy(time.Now())
		s.Stats.Bytes, s.CapacityBytes, s.CountsBytes = 60<<20, 64<<20, true
		c.change(&s)
		got := read(t, show(&fake{status: s}), "/")
		assert.Contains(t, got.text, c.want, name)
		if name == "beside points" {
			assert.Contains(t, got.attributes["width"], "93.8%", "the bar shows the fuller one")
			assert.NotContains(t, got.text, "Exemplars", "there is nothing to say of them")
		}
	}
}

func TestThePageRefreshesItself(t *testing.T) {
	h := show(&fake{})
	got := read(t, h, "/")
	assert.Equal(t, []string{"refresh"}, got.attributes["http-equiv"])
	assert.Contains(t, got.attributes["content"], "2")
	assert.Contains(t, got.attributes["href"], "?refresh=off")

	paused := read(t, h, "/?refresh=off")
	assert.Empty(t, paused.attributes["http-equiv"])
	assert.Contains(t, paused.attributes["href"], "?")
	assert.Contains(t, paused.text, "Refresh is off: load the page again.")
}

// hostile is what a server might put into an error.
const hostile = "</td></style><script>alert(1)</script>" +
	`<img src=x onerror="alert(2)"> "'>` + "` {{.}} &lt; &#60;" +
	"\x00\x1b[31m\x7f\u0085 \u202Egnp.exe\u202C \u2066\u200b\u2028 \xff\xfe é 😀 "

const hostileVisible = "</td></style><script>alert(1)</script>" +
	`<img src=x onerror="alert(2)"> "'>` + "` {{.}} &lt; &#60;" +
	`\u{0}\u{1B}[31m\u{7F}\u{85} \u{202E}gnp.exe\u{202C} \u{2066}\u{200B}\u{2028} ` + "\uFFFD\uFFFD é 😀"

func TestForeignTextIsEscaped(t *testing.T) {
	now := time.Now()
	innocent, evil := busy(now), busy(now)
	evil.RetryError = hostile
	evil.Errors[0].Message = hostile
	evil.Settings[0] = asyncmetric.Setting{Name: "a" + hostile, Value: "b" + hostile}
	evil.Name = "c" + hostile
	evil.State = asyncmetric.State("d" + hostile)

	want, got := read(t, show(&fake{status: innocent}), "/"), read(t, show(&fake{status: evil}), "/")
	assert.Equal(t, want.elements, got.elements, "text makes no elements")
	assert.Equal(t, len(want.attributes), len(got.attributes), "and no attributes")
	// The state is said four times, with the title and the summary, and that the
	// name is split in two does not show in its text.
	assert.Equal(t, 8, strings.Count(got.text, hostileVisible))
	for _, r := range got.text {
		assert.False(t, r < ' ' || r == '\u202E' || r == '\u200B' || r == '\u2028', "%U", r)
	}
}

func TestLongTextIsComplete(t *testing.T) {
	status := busy(time.Now())
	status.Errors[0].Message = strings.Repeat("x", 2048) + " [...]"
	assert.Contains(t, read(t, show(&fake{status: status}), "/").text, status.Errors[0].Message)
}

func TestTheStyleIsTheOneThatIsAllowed(t *testing.T) {
	answer := get(show(&fake{}), "/")
	inline := regexp.MustCompile(`(?s)<style>(.*)</style>`).FindStringSubmatch(answer.Body.String())
	require.Len(t, inline, 2)
	sum := sha256.Sum256([]byte(inline[1]))
	assert.Contains(t, answer.Header().Get("Content-Security-Policy"),
		"'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	assert.NotContains(t, inline[1], "\r")
}

func TestThePageLoadsNothingAndRunsNothing(t *testing.T) {
	h := show(&fake{status: busy(time.Now())})
	got := read(t, h, "/")
	for _, element := range []string{"script", "link", "img", "iframe", "form"} {
		assert.Zero(t, got.elements[element], element)
	}
	for _, attribute := range []string{"style", "src", "onclick", "onload"} {
		assert.Empty(t, got.attributes[attribute], attribute)
	}
	assert.NotContains(t, style, "url(")
	assert.NotContains(t, style, "@import")
}

func TestLabelsPointToOneElementEach(t *testing.T) {
	same := &fake{status: busy(time.Now())}
	got := read(t, show(same, same), "/")
	ids := map[string]bool{}
	for _, id := range got.attributes["id"] {
		assert.False(t, ids[id], "%s is there twice", id)
		ids[id] = true
	}
	assert.NotEmpty(t, got.attributes["aria-labelledby"])
	for _, id := range got.attributes["aria-labelledby"] {
		assert.True(t, ids[id], "%s is nowhere", id)
	}
}

func TestStatesHaveColours(t *testing.T) {
	for state, want := range map[asyncmetric.State]string{
		asyncmetric.StateIdle: "quiet", asyncmetric.StateDelivering: "good", asyncmetric.StateBackingOff: "bad",
		asyncmetric.StateDraining: "busy", asyncmetric.StateShutDown: "quiet", "something new": "quiet",
	} {
		assert.Equal(t, want, badge(state))
		assert.Contains(t, read(t, show(&fake{status: asyncmetric.Status{State: state}}), "/").attributes["class"], "badge "+want)
	}
}

func TestSummaryCountsTheStates(t *testing.T) {
	assert.Equal(t, "No exporters", summary(nil))
	assert.Equal(t, "2 idle, 1 draining", summary([]exporter{
		{State: asyncmetric.StateIdle}, {State: asyncmetric.StateDraining}, {State: asyncmetric.StateIdle},
	}))
}

func TestTheBarEndsWhereTheQueueDoes(t *testing.T) {
	for part, want := range map[float64]bar{
		0: {"0", "roomy"}, 0.749: {"74.9", "roomy"}, 0.75: {"75", "filling"},
		0.95: {"95", "full"}, 1: {"100", "full"}, 3: {"100", "full"},
	} {
		assert.Equal(t, want, newBar(part))
	}
}

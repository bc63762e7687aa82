package contain_test

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/asyncmetric/asyncmetric/internal/contain"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCallReturnsHoweverTheCallEnds(t *testing.T) {
	assert.NoError(t, contain.Call("it", func() error { return nil }))
	assert.Equal(t, io.EOF, contain.Call("it", func() error { return io.EOF }))
	for _, value := range []any{"text", io.EOF, nil} {
		err := contain.Call("it", func() error { panic(value) })
		assert.ErrorIs(t, err, contain.ErrPanic)
		assert.ErrorContains(t, err, "panic in it: ")
		assert.ErrorContains(t, err, "TestCallReturnsHoweverTheCallEnds", "the stack")
	}
	err := contain.Call("it", func() error { runtime.Goexit(); return nil })
	assert.ErrorIs(t, err, contain.ErrGoexit)
	assert.EqualError(t, err, "runtime.Goexit in it")
}

func TestRecoverTurnsAPanicIntoAnError(t *testing.T) {
	f := func(panics bool) (err error) {
		defer contain.Recover("it", &err)
		if panics {
			panic("text")
		}
		return io.EOF
	}
	assert.Equal(t, io.EOF, f(false))
	assert.ErrorIs(t, f(true), contain.ErrPanic)
}

// endless makes a new error each time that it is unwrapped.
type endless struct{ n int }

func (e endless) Error() string { return "endless" }
func (e endless) Unwrap() error { return endless{e.n + 1} }

// bush wraps more with each step.
type bush struct{}

func (bush) Error() string   { return "bush" }
func (bush) Unwrap() []error { return []error{bush{}, bush{}, bush{}} }

func TestCallKeepsOnlyTheTextOfErrorsThatDoNotEnd(t *testing.T) {
	for _, err := range []error{endless{}, bush{}, errors.Join(io.EOF, fmt.Errorf("x: %w", endless{}))} {
		got := contain.Call("it", func() error { return err })
		require.Error(t, got)
		assert.Nil(t, errors.Unwrap(got))
		assert.True(t, strings.HasPrefix(got.Error(), err.Error()), got)
	}
	wide := make([]error, 1000)
	for i := range wide {
		wide[i] = io.EOF
	}
	assert.ErrorIs(t, contain.Call("it", func() error { return errors.Join(wide...) }), io.EOF, "it is large, but ends")
}

// faulty panics in one of its methods.
type faulty struct{ in string }

func (f faulty) Error() string {
	if f.in == "Error" {
		panic("text")
	}
	return "faulty"
}

func (f faulty) Unwrap() error {
	if f.in == "Unwrap" {
		panic("unwrap")
	}
	return nil
}

func TestAPanicInAnErrorIsThatOfTheCall(t *testing.T) {
	assert.ErrorIs(t, contain.Call("it", func() error { return faulty{"Unwrap"} }), contain.ErrPanic)
	assert.Equal(t, "contain_test.faulty, whose method Error panics", contain.Text(faulty{"Error"}))
	assert.Equal(t, "faulty", contain.Text(faulty{}))
}

func TestTextIsBounded(t *testing.T) {
	text := contain.Text(errors.New(strings.Repeat("é", 5000)))
	assert.Less(t, len(text), 2100)
	assert.Equal(t, strings.ToValidUTF8(text, "?"), text)
}

package outcome_test

import (
	"errors"
	"fmt"
	"io"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/asyncmetric/asyncmetric/internal/outcome"
)

// PartialSuccess has the name and the field of the type that the OTLP exporters
// return.
type PartialSuccess struct{ RejectedItems int64 }

func (PartialSuccess) Error() string { return "partial success" }

// The number is of 64 bits, and an int may be of 32.
func TestMoreRejectedPointsThanAnIntHoldsAreAsManyAsItHolds(t *testing.T) {
	for rejected, want := range map[int64]int{
		-1: 0, 0: 0, 7: 7, 1 << 32: int(min(1<<32, int64(math.MaxInt))), math.MaxInt64: math.MaxInt,
	} {
		got, ok := outcome.Rejected(fmt.Errorf("upload: %w", PartialSuccess{rejected}))
		assert.True(t, ok)
		assert.Equal(t, want, got, "%d", rejected)
	}
}

func TestJoinedErrorsAreSearchedToTheirEnd(t *testing.T) {
	deep := error(io.EOF)
	for range 50 {
		deep = errors.Join(errors.New("one"), fmt.Errorf("two: %w", deep))
	}
	assert.Equal(t, outcome.Away, outcome.Classify(deep, func(error) bool { return false }).Class)
	_, ok := outcome.Rejected(errors.Join(errors.New("one"), fmt.Errorf("two: %w", PartialSuccess{1})))
	assert.True(t, ok)
}

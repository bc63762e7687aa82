package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each row of docs/guarantees.md names tests, and the file that has them.
func TestTheTestsThatHoldTheGuaranteesExist(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (Test.*) \| (\S+_test\.go) \|$`)
	name := regexp.MustCompile(`Test\w+`)
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	found := 0
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		source, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(match[2])))
		require.NoError(t, err)
		for _, test := range name.FindAllString(match[1], -1) {
			assert.Contains(t, string(source), "func "+test+"(", match[2])
			found++
		}
	}
	assert.Greater(t, found, 90)
}

package integration

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each row of docs/guarantees.md names tests, and the package that has them.
func TestTheTestsThatHoldTheGuaranteesExist(t *testing.T) {
	row := regexp.MustCompile(`(?m)^\| (Test.*) \| (\S+) \|$`)
	name := regexp.MustCompile(`Test\w+`)
	root := filepath.Join("..", "..", "..")
	text, err := os.ReadFile(filepath.Join(root, "docs", "guarantees.md"))
	require.NoError(t, err)
	found := 0
	for _, match := range row.FindAllStringSubmatch(string(text), -1) {
		folder := filepath.FromSlash(strings.TrimPrefix(match[2], "asyncmetric"))
		tests := testsIn(t, filepath.Join(root, folder))
		for _, test := range name.FindAllString(match[1], -1) {
			assert.True(t, tests[test], "%s has no %s", match[2], test)
			found++
		}
	}
	assert.Greater(t, found, 90)
}

// testsIn returns the names of the tests in a folder.
func testsIn(t *testing.T, folder string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(folder, "*_test.go"))
	require.NoError(t, err)
	function := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	tests := make(map[string]bool)
	for _, file := range files {
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, match := range function.FindAllSubmatch(source, -1) {
			tests[string(match[1])] = true
		}
	}
	return tests
}

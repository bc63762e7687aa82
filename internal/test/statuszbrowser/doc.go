// Package statuszbrowser has the tests that look at the page of package
// statusz with Chromium. They need a browser: where none is found they are skipped, or fail if
// the environment has CI_BROWSER=1.
//
//	GOWORK=off go -C internal/test test ./statuszbrowser -screenshots /tmp/shots
//
// The browser is the one that the variable CHROMIUM names or, where that is not
// set, the first of chromium, chromium-browser and google-chrome in the PATH.
package statuszbrowser

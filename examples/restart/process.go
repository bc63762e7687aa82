package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
)

// jobVariable is the environment variable that makes this program one of the
// processes that count.
const jobVariable = "ASYNCMETRIC_RESTART_JOB"

// job is what such a process needs to know.
type job struct {
	Folder   string // of the queue
	Endpoint string // of the backend
}

// jobFromEnvironment returns nil if this is the process that starts the others.
func jobFromEnvironment() *job {
	j := new(job)
	if json.Unmarshal([]byte(os.Getenv(jobVariable)), j) != nil {
		return nil
	}
	return j
}

// process is a process that counts. It takes one line for each collection, how
// much to count, and answers with a line when the collection has been stored.
type process struct {
	command *exec.Cmd
	stdin   io.WriteCloser
	answers *bufio.Scanner
}

func startProcess(ctx context.Context, j job) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	description, err := json.Marshal(j)
	if err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, self)
	command.Env = append(os.Environ(), jobVariable+"="+string(description))
	command.Stderr = os.Stderr
	stdin, inErr := command.StdinPipe()
	stdout, outErr := command.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	return &process{command: command, stdin: stdin, answers: bufio.NewScanner(stdout)}, nil
}

// count has the process count something for each of so many collections. It
// returns the sum of what has been stored.
func (p *process) count(collections int) (sum int64, err error) {
	for range collections {
		n := 1 + rand.Int64N(1000)
		if _, err := fmt.Fprintln(p.stdin, n); err != nil {
			return sum, err
		}
		if !p.answers.Scan() {
			return sum, errors.Join(errors.New("the process ended early"), p.answers.Err())
		}
		if want := fmt.Sprint("stored ", n); strings.TrimSpace(p.answers.Text()) != want {
			return sum, fmt.Errorf("the process answered %q instead of %q", p.answers.Text(), want)
		}
		sum += n
	}
	return sum, nil
}

// kill ends the process as SIGKILL does, and waits until it is gone.
func (p *process) kill() error {
	err := p.command.Process.Kill()
	_ = p.command.Wait() // says that it was killed
	return err
}

// end has the process end by itself.
func (p *process) end() error {
	return errors.Join(p.stdin.Close(), p.command.Wait())
}

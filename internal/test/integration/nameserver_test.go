package integration

import (
	"context"
	"encoding/binary"
	"io"
	"net"
)

// unknownHost is a name that our name server does not know.
const unknownHost detour = "prometheus.invalid:4317"

// dialNameServer connects a resolver to a name server that knows no names. It is
// one over TCP, as net.Pipe has a stream.
func dialNameServer(context.Context, string, string) (net.Conn, error) {
	client, server := net.Pipe()
	go func() {
		defer func() { _ = server.Close() }()
		for answerUnknown(server) == nil {
		}
	}()
	return client, nil
}

// answerUnknown turns a query into the answer that there is no such name, which
// takes two flags: that it is an answer, and the code.
func answerUnknown(conn io.ReadWriter) error {
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return err
	}
	message := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, message); err != nil {
		return err
	}
	const response, nameError = 1 << 7, 3
	message[2] |= response
	message[3] = message[3]&0xf0 | nameError
	_, err := conn.Write(append(length[:], message...))
	return err
}

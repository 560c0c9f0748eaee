// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"net"
	"time"
)

// answerTime is the delay of the name server.
const answerTime = 100 * time.Millisecond

// serveNames starts a name server in the calling thread's namespace. It knows
// a name for every address.
func serveNames() (stop func() error, err error) {
	conn, err := net.ListenPacket("udp", "127.0.0.1:53")
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			b := make([]byte, 512)
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			time.AfterFunc(answerTime, func() {
				// Ignore errors: a client without an answer
				// retries.
				_, _ = conn.WriteTo(answer(b[:n]), from)
			})
		}
	}()
	return conn.Close, nil
}

// answer returns the reply to a PTR query: the name host-N.test, where N is
// the first label of the question. It returns nil if there is no question.
func answer(ask []byte) []byte {
	const header, afterName = 12, 4
	if len(ask) < header+1 {
		return nil
	}
	end := bytes.IndexByte(ask[header:], 0) + header + 1 + afterName
	first := ask[header+1:][:min(int(ask[header]), len(ask)-header-1)]
	if end == header+afterName || end > len(ask) {
		return nil
	}
	be := binary.BigEndian
	b := append(bytes.Clone(ask[:2]), 0x81, 0x80) // a reply, without an error
	b = append(b, 0, 1, 0, 1, 0, 0, 0, 0)         // to one question, with one name
	b = append(b, ask[header:end]...)
	b = append(b, 0xc0, header, 0, 12, 0, 1) // name: a pointer to the question; type PTR
	b = be.AppendUint32(b, 60)
	name := append([]byte{byte(len("host-") + len(first))}, "host-"...)
	name = append(append(name, first...), "\x04test\x00"...)
	b = be.AppendUint16(b, uint16(len(name)))
	return append(b, name...)
}
